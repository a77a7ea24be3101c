package kvctl

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

// wrote is all that the program wrote so far, with what steers the terminal.
func (p *terminal) wrote() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// Letters beyond ASCII are letters: ü is not Alt with another key.
func TestShellTakesLetters(t *testing.T) {
	p, _ := shell(t)
	const letters = "grüße ÄÖñ 你好 😀 e\u0301 👩‍👧"
	p.send("SET name '" + letters + "'\r")
	p.expect("OK")
	p.send("STRLEN name\r")
	p.expect(fmt.Sprintf("(integer) %d", len(letters)))
}

// What is pasted waits for Enter; its lines are commands of their own.
func TestShellTakesPastedLines(t *testing.T) {
	p, _ := shell(t)
	p.send("\x1b[200~SET p1 \"a\nb\"\nSTRLEN p1\nECHO third\x1b[201~")
	p.expect("third")
	p.send("\r")
	p.expect("OK")
	p.expect("(integer) 3")
	p.expect(`"third"`)
}

// Ctrl-C drops the line while a menu is open, too.
func TestShellDropsTheMenu(t *testing.T) {
	p, _ := shell(t)
	p.send("MSET name x nemo y\r")
	p.expect("OK")
	p.send("GET \t")
	p.expect("keys")
	p.send("\x03")
	p.expect("kvctl> ")
	p.send("PING\r")
	p.expect("PONG")
}

// Without colours the menu has none either.
func TestShellWithoutColours(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	p := onTerminal(t, []string{"KVSTORE_SOCKET=" + d.Socket, "KVCTL_HISTORY=", "NO_COLOR=1"})
	p.expect("kvctl> ")
	p.send("SET name x\rSET nemo x\r")
	p.expect("OK")
	p.expect("OK")
	p.send("GET n\t")
	p.expect("name")
	p.send("\r")
	p.expect(`"x"`)
	if color := regexp.MustCompile(`\x1b\[([0-9;]*;)?(3[0-7]|4[0-7])m`).FindString(p.wrote()); color != "" {
		t.Errorf("it wrote the colour %q", color)
	}
}

// A terminal that understands nothing gets no control sequences and no pager.
func TestShellOnADumbTerminal(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	p := onTerminal(t, []string{"KVSTORE_SOCKET=" + d.Socket, "KVCTL_HISTORY=", "TERM=dumb", "PAGER=false"})
	p.expect("kvctl> ")
	p.send("SET poem \"roses\n")
	p.expect("...> ")
	p.send("violets\"\n")
	p.expect("OK")
	p.send("GET poem\n")
	p.expect(`"roses\nviolets"`)
	p.send("GET po\x03")
	p.expect("kvctl> ")
	p.send("INFO\n")
	p.expect("redis_version")
	p.expect("engine_still_mapped")
	p.expect("kvctl> ")
	p.send("\x04")
	if code := p.ends(); code != 0 || strings.Contains(p.wrote(), "\x1b") {
		t.Errorf("exit status %d, and %q", code, p.wrote())
	}
}

// What messages and the manual say to type can be typed: with the program's
// name, and with its options. Messages of the shell leave the name out.
func TestShellTakesItsOwnName(t *testing.T) {
	p, _ := shell(t)
	p.send("kvctl SET name Rojalin\r")
	p.expect("OK")
	p.send("kvctl --json GET name\r")
	p.expect(`"encoding": "utf-8"`)
	p.send("kvctl -n 3 SET name other\r")
	p.expect("OK")
	p.send("INCR name\r")
	p.expect("fix: GET name")
	p.send("stat --count 1 --interval 10ms --jq .engine\r")
	p.expect("\nhash 0.1.0")
	p.send("kvctl GET name\r")
	p.expect(`"Rojalin"`)
}
