package client

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"kvstored/pkg/install"
)

func TestDeniedAdvice(t *testing.T) {
	const mine = 65534 // nogroup or nobody: a group that is not root's
	for _, test := range []struct {
		name           string
		mode           uint32
		gid            uint32
		acting, member bool
		want           Advice
	}{
		{"not a member", 0o660, mine, false, false, Advice{
			"it belongs to X; you are asha, not in " + groupName(mine), "sudo usermod -aG " + groupName(mine) + " asha, then log in again"}},
		{"member since", 0o660, mine, false, true, Advice{
			"asha is in " + groupName(mine) + ", but this login is older", "log in again, or: newgrp " + groupName(mine)}},
		{"the group may not", 0o600, mine, false, false, Advice{"it belongs to X; you are asha", "sudo kvctl …"}},
		{"nobody joins root's group", 0o660, 0, false, false, Advice{"it belongs to X; you are asha", "sudo kvctl …"}},
	} {
		st := &syscall.Stat_t{Mode: syscall.S_IFSOCK | test.mode, Gid: test.gid}
		if got := deniedAdvice("X", st, "asha", test.acting, test.member); got != test.want {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

// fakeSystemctl puts a systemctl into PATH that prints a state.
func fakeSystemctl(t *testing.T, state string) {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\nprintf '" + state + "'\n"
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	before := systemdRuns
	systemdRuns = dir
	t.Cleanup(func() { systemdRuns = before })
}

func TestExplainAsksSystemd(t *testing.T) {
	sudo := install.Sudo
	failed := Advice{
		"kvstored.service kept failing; systemd closed the socket",
		"systemctl status kvstored.service    # the reason; then\n" + sudo("systemctl reset-failed kvstored.service kvstored.socket") +
			"\n" + sudo("systemctl start kvstored.socket"),
	}
	for _, test := range []struct {
		reason Reason
		path   string
		state  string
		want   Advice
	}{
		{Missing, SystemSocket, `LoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\n`, Advice{
			"kvstored.socket is not started (disabled)", sudo("systemctl enable --now kvstored.socket")}},
		{Missing, SystemSocket, `LoadState=loaded\nActiveState=inactive\nUnitFileState=enabled\n`, Advice{
			"kvstored.socket is not started (enabled)", sudo("systemctl start kvstored.socket")}},
		{Missing, SystemSocket, `LoadState=not-found\nActiveState=inactive\n`, Advice{"kvstored is not installed", install.Command("kvstored")}},
		{Missing, SystemSocket, `LoadState=masked\nActiveState=inactive\n`, Advice{"kvstored.socket is masked",
			sudo("systemctl unmask kvstored.socket") + "\n" + sudo("systemctl enable --now kvstored.socket")}},
		{Missing, SystemSocket, `LoadState=loaded\nActiveState=active\n`, Advice{
			"kvstored.socket is started, but its file was removed", sudo("systemctl restart kvstored.socket")}},
		{Missing, SystemSocket, `LoadState=loaded\nActiveState=failed\n`, failed},
		{Refused, SystemSocket, `LoadState=loaded\nActiveState=failed\n`, failed},
		{Refused, SystemSocket, `LoadState=loaded\nActiveState=inactive\nUnitFileState=enabled\n`, Advice{
			"kvstored.socket is not started (enabled)", sudo("systemctl start kvstored.socket")}},
		{Missing, "/run/kvstored/shop.sock", `LoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\n`, Advice{
			"kvstored@shop.socket is not started (disabled)", sudo("systemctl enable --now kvstored@shop.socket")}},
	} {
		fakeSystemctl(t, test.state)
		e := &ConnectError{Path: test.path, Reason: test.reason}
		if got := e.Explain(); got != test.want {
			t.Errorf("%d %s:\n%+v\nwant\n%+v", test.reason, test.state, got, test.want)
		}
	}
}

func TestExplainUserUnit(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/1000")
	fakeSystemctl(t, `LoadState=loaded\nActiveState=inactive\nUnitFileState=enabled\n`)
	e := &ConnectError{Path: "/run/user/1000/kvstored/kvstored.sock", From: FromRuntime, Reason: Refused}
	if got := e.Explain().Fix; got != "systemctl --user start kvstored.socket" {
		t.Error(got)
	}
}

func TestLocate(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("KVSTORE_SOCKET", "")
	expect := func(explicit, want string, from Source) {
		t.Helper()
		if path, source := Locate(explicit); path != want || source != from {
			t.Errorf("%s (%s), want %s (%s)", path, source, want, from)
		}
	}
	expect("", SystemSocket, FromDefault)
	own := filepath.Join(dir, "kvstored", "kvstored.sock")
	if err := errors.Join(os.Mkdir(filepath.Dir(own), 0o755), os.WriteFile(own, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	expect("", own, FromRuntime)
	t.Setenv("KVSTORE_SOCKET", "/e")
	expect("", "/e", FromEnv)
	expect("/f", "/f", FromFlag)
}

func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{
		"hits": "hits", "user:1@x": "user:1@x", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "a\nb\xff'": `$'a\x0ab\xff\''`, "*": "'*'",
	} {
		if got := shellWord(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}

func TestRepeatable(t *testing.T) {
	for _, args := range [][]string{{"get", "a"}, {"MGET", "a"}, {"SCAN", "0"}, {"engine", "status"}, {"CONFIG", "GET", "*"}} {
		if !Repeatable(args) {
			t.Errorf("%q only reads", args)
		}
	}
	for _, args := range [][]string{{"SET", "a", "1"}, {"GETDEL", "a"}, {"GETEX", "a"}, {"INCR", "a"}, {"ENGINE", "LOAD"}, {"CONFIG", "SET", "a", "b"}, {"NEW"}} {
		if Repeatable(args) {
			t.Errorf("%q may write", args)
		}
	}
}

func TestLastWords(t *testing.T) {
	const journal = `{"MESSAGE":"starting: reading the log"}
{"MESSAGE":"not starting: /etc/kvstored/kvstored.conf:3: unknown key MaxMemroy\n  fix: did you mean MaxMemory=?","FIX":"did you mean MaxMemory=?"}
{"MESSAGE":"not starting: /etc/kvstored/kvstored.conf:4: unknown key Sinc","FIX":"did you mean Sync=?"}
{"MESSAGE":[1,2]}
`
	want := lastWords{"not starting: /etc/kvstored/kvstored.conf:3: unknown key MaxMemroy\n  fix: did you mean MaxMemory=?", "", "did you mean MaxMemory=?"}
	if got := parseLastWords(journal); got != want {
		t.Errorf("%+v", got)
	}
	for fix, want := range map[string]string{
		"": "", "sudo kvctl engine use lmdb": install.Sudo("kvctl engine use lmdb\n"), "did you mean Sync=?": "# did you mean Sync=?\n",
	} {
		if got := runnable(fix); got != want {
			t.Errorf("%q -> %q", fix, got)
		}
	}
}
