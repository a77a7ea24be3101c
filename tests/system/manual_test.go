//go:build system

package system

import (
	"os"
	"regexp"
	"strings"
)

// A manualCommand is a command in docs/operations.md: run as it stands, or as
// `run` with the reason in why, or, with why alone, not here.
type manualCommand struct{ command, run, why string }

const example = "it is an example: a name stands for any"

// manualCommands are all of them, in the order in which they are run.
var manualCommands = []manualCommand{
	{"man kvstored", "test -f /usr/share/man/man8/kvstored.8.gz", "the machine has no man"},
	{"man kvstored.conf", "test -f /usr/share/man/man5/kvstored.conf.5.gz", "the machine has no man"},
	{"man kvctl", "test -f /usr/share/man/man1/kvctl.1.gz", "the machine has no man"},
	{"systemctl stop kvstored", "", ""},
	{"systemctl disable --now kvstored.socket", "", ""},
	{"systemctl --user enable --now kvstored.socket", "", "TestDebian has a user's own daemon"},
	{"sudo systemctl reset-failed kvstored.service kvstored.socket", "sudo systemctl reset-failed kvstored.service kvstored.socket || :", "there may be nothing to forget"},
	{"sudo systemctl start kvstored.socket", "", ""},
	{"sudo usermod -aG kvstore asha", "", ""},
	{"sudo systemctl edit kvstored.socket", unitDropIn("kvstored.socket", `[Socket]\nSocketGroup=www-data\n`) +
		" && test $(stat -c %G /run/kvstored/kvstored.sock) = www-data && rm -r /etc/systemd/system/kvstored.socket.d && systemctl daemon-reload && systemctl restart kvstored.socket",
		"it wants a terminal: what it writes is written"},
	{"kvctl INFO", "", ""},
	{"kvctl engine reload", "", ""},
	{"systemctl reload", "systemctl reload kvstored", "kvstored is meant"},
	{"sudo systemctl reload kvstored", "", ""},
	{"sudo kvctl CONFIG SET slowlog-max-len 500", "", ""},
	{"sudo kvctl CONFIG REWRITE", "", "group 3 runs it, and what it answers"},
	{"sudo kvctl engine use NAME", "sudo kvctl engine use hash", example},
	{"sudo install -m 644 new.so /usr/lib/kvstored/engines/hash.so", "cp /opt/hash-next.so new.so && sudo install -m 644 new.so /usr/lib/kvstored/engines/hash.so && " +
		"systemctl reload kvstored && kvctl engine status | grep -x version=0.1.1", "new.so is made"},
	{"kvctl engine check PATH", "kvctl engine check /usr/lib/kvstored/engines/hash.so", example},
	{"kvctl engine status", "", ""},
	{"journalctl -u kvstored -x", "", ""},
	{"systemctl status", "systemctl status kvstored", "kvstored is meant"},
	{"systemctl status kvstored", "", ""},
	{"systemctl stop", "", "kvstored is meant, above"},
	{"kvctl", "echo PING | kvctl", "without a terminal it reads commands"},
	{"kvctl doctor", "", ""},
	{"sudo kvctl doctor", "", ""},
	{"cp", "", "install is to be used in its place"},
	{"cp -a", "kvctl SET name Rojalin && systemctl stop kvstored.socket kvstored && cp -a /var/lib/kvstored /opt/backup && rm -r /var/lib/kvstored && " +
		"cp -a /opt/backup /var/lib/kvstored && systemctl start kvstored.socket && kvctl GET name | grep -x Rojalin", "a backup, put back"},
	{"sudo apt install kvstored-engine-lmdb", "", ""},
	{"sudo kvctl engine use lmdb", "", ""},
	{"mdb_stat -e DIRECTORY", "", "its package is not on the machine"},
	{"mdb_copy", "", "its package is not on the machine"},
	{"kvctl engine use", "kvctl engine use lmdb", example},
	{"sudo kvctl engine use hash", "", ""},
	{"sudo touch /etc/kvstored/cache.conf", "", ""},
	{"sudo systemctl enable --now kvstored@cache.socket", "", ""},
	{"kvctl --socket /run/kvstored/cache.sock SET name Rojalin", "", ""},
	{"apt purge kvstored", "apt-get purge kvstored kvstored-engine-lmdb && ! test -e /var/lib/kvstored && ! test -e /etc/kvstored/kvstored.conf", "the engine needs it, and apt purge says on standard error that it is no interface"},
}

var (
	isCommand = regexp.MustCompile(`^(sudo|systemctl|kvctl|journalctl|apt|cp|man|mdb_[a-z]+)( |$)`)
	remark    = regexp.MustCompile(`\s+#.*`)
	codeSpan  = regexp.MustCompile("`([^`]+)`")
)

// commandsIn finds the commands of a text: lines set in, and words in code.
func commandsIn(text string) map[string]bool {
	found := map[string]bool{}
	prose := ""
	for line := range strings.Lines(text) {
		if block, ok := strings.CutPrefix(line, "    "); ok {
			if line := remark.ReplaceAllString(strings.TrimSpace(block), ""); isCommand.MatchString(line) {
				found[line] = true
			}
			continue
		}
		prose += line
	}
	for _, span := range codeSpan.FindAllStringSubmatch(prose, -1) {
		for _, one := range strings.Split(strings.Join(strings.Fields(span[1]), " "), "; ") {
			if isCommand.MatchString(one) {
				found[one] = true
			}
		}
	}
	return found
}

// followsManual runs what docs/operations.md says.
func (m *machine) followsManual() {
	text, err := os.ReadFile(top + "/docs/operations.md")
	if err != nil {
		m.t.Fatal(err)
	}
	said := commandsIn(string(text))
	run := 0
	for _, c := range manualCommands {
		if !said[c.command] {
			m.t.Errorf("docs/operations.md does not say %q any more", c.command)
		}
		delete(said, c.command)
		script := c.run
		if script == "" && c.why == "" {
			script = c.command
		}
		if script == "" {
			continue
		}
		m.again()
		if out, code := m.try(commands(script)); code != 0 {
			m.t.Fatalf("docs/operations.md says %q; run as\n%s\nit ends with %d:\n%s", c.command, script, code, out)
		}
		run++
	}
	for command := range said {
		m.t.Errorf("docs/operations.md says %q: it is neither run nor an exception", command)
	}
	m.noFailedUnits()
	m.t.Logf("%s: %d commands of docs/operations.md were run", m.suite, run)
}
