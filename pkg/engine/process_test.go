package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/engine/enginetest"
)

// A library that changes what belongs to the whole daemon, or starts
// something that stays, is found out in its trial.
func TestLibraryThatChangesItsProcess(t *testing.T) {
	h := openHost(t, enginetest.Build(t, "debug"))
	exercise := filepath.Join(enginetest.Root(), "examples/exercise/kvstore.c")
	for name, test := range map[string][2]string{ // code of a constructor, what is said of it
		"signals":     {"signal(SIGTERM, SIG_IGN); signal(SIGHUP, SIG_DFL);", "it changed the handler of SIGHUP, the handler of SIGTERM"},
		"blocked":     {"sigset_t s; sigfillset(&s); pthread_sigmask(SIG_BLOCK, &s, 0);", "the blocked signals"},
		"umask":       {"umask(0);", "the Umask of its status"},
		"directory":   {"if (chdir(\"/usr\") != 0) abort();", "the working directory"},
		"limit":       {"struct rlimit r = {20, 20}; setrlimit(RLIMIT_NOFILE, &r);", "the limit Max open files"},
		"locale":      {"setlocale(LC_ALL, \"C.UTF-8\");", "the locale"},
		"float":       {"fesetround(FE_UPWARD);", "the modes of floating point"},
		"environment": {"setenv(\"PATH\", \"/elsewhere\", 1);", "the environment"},
		"child":       {"if (fork() == 0) for (;;) pause();", "it started a process that did not end"},
		"daemon":      {"if (fork() == 0) { setsid(); for (;;) pause(); }", "it started a process that did not end"},
		"thread-end": {"pthread_key_t k; pthread_key_create(&k, (void (*)(void *))abort); pthread_setspecific(k, &k);",
			"it died of SIGABRT while ending a thread that it ran in"},
		"closes": {"for (int i = 3; i < 100; i++) close(i);", "ends its process"},
	} {
		t.Run(name, func(t *testing.T) {
			source := filepath.Join(t.TempDir(), name+".c")
			text := "#define _GNU_SOURCE\n"
			for _, header := range []string{"fenv", "locale", "pthread", "signal", "stdlib", "sys/resource", "sys/stat", "unistd"} {
				text += "#include <" + header + ".h>\n"
			}
			text += "__attribute__((constructor)) static void start(void) { " + test[0] + " }\n"
			if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), name+".so")
			if out, err := exec.Command("gcc", "-fPIC", "-shared", source, exercise, "-o", path, "-lm").CombinedOutput(); err != nil {
				t.Fatalf("gcc: %v\n%s", err, out)
			}
			began := time.Now()
			mustRefuse(t, h, path, test[1])
			if strings.Contains(test[0], "fork") {
				noneRuns(t, path)
			}
			t.Logf("%v", time.Since(began))
		})
	}
}

// noneRuns insists that no process tries path any more.
func noneRuns(t *testing.T, path string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), path) {
			t.Errorf("%s: %q is left", file, text)
		}
	}
}
