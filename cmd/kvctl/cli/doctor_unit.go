package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"kvstored/pkg/client"
	"kvstored/pkg/install"
)

// An assignment is a line KEY=VALUE of a unit file.
type assignment struct{ file, key, value string }

// String is the line and where it stands.
func (a assignment) String() string { return a.key + "=" + a.value + " (" + a.file + ")" }

// assignments reads a unit file; empty where it cannot be read.
func assignments(file string) []assignment {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return parseUnit(file, string(data))
}

func parseUnit(file, text string) []assignment {
	var all []assignment
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "=")
		if ok && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ";") {
			all = append(all, assignment{file, strings.TrimSpace(key), strings.TrimSpace(value)})
		}
	}
	return all
}

// changed is what drop-ins of the unit of that kind say about wanted keys
// otherwise than the unit itself.
func (p *patient) changed(kind string, wanted func(key string) bool) []assignment {
	_, s, ok := client.UnitState(p.path, kind)
	if !ok {
		return nil
	}
	own := assignments(s["FragmentPath"])
	var all []assignment
	for _, file := range strings.Fields(s["DropInPaths"]) {
		for _, a := range assignments(file) {
			same := slices.ContainsFunc(own, func(o assignment) bool { return o.key == a.key && o.value == a.value })
			if wanted(a.key) && !same {
				all = append(all, a)
			}
		}
	}
	return all
}

// undo takes assignments out of the drop-ins of a unit again.
func (p *patient) undo(unit string, all []assignment) string {
	var lines []string
	for _, a := range all {
		line := install.Sudo("sed -i '/^ *" + a.key + " *=/d' " + client.ShellWord(a.file))
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(append(lines, p.again(unit)), "\n")
}

// again has systemd read its files and start the unit anew.
func (p *patient) again(unit string) string {
	return client.Systemctl(p.path, "daemon-reload") + "\n" + client.Systemctl(p.path, "restart "+unit)
}

// dropIn writes a drop-in of a unit and puts it in force.
func (p *patient) dropIn(unit, name string, lines ...string) string {
	words := ""
	for _, line := range lines {
		words += " " + client.ShellWord(line)
	}
	return `printf '%s\n'` + words + " | " + install.Sudo("install -D -m 644 /dev/stdin /etc/systemd/system/"+unit+".d/"+name) + "\n" + p.again(unit)
}

// key is for changed: that key.
func key(name string) func(string) bool { return func(key string) bool { return key == name } }

// sandboxKeys are how settings of a unit begin that say what it may reach.
var sandboxKeys = []string{
	"Ambient", "Capability", "Device", "IPAddress", "Keyring", "LockPersonality", "MemoryDenyWriteExecute", "NoExecPaths",
	"NoNewPrivileges", "Private", "ProcSubset", "Protect", "RemoveIPC", "Restrict", "SystemCall", "UMask",
}

// sandbox tells whether a setting of a unit is one of those. RestartSec= is not.
func sandbox(name string) bool {
	return slices.ContainsFunc(sandboxKeys, func(begins string) bool { return strings.HasPrefix(name, begins) })
}

// checkSocketMode looks at what a drop-in made of the socket's mode: it may
// keep out those who are meant to come in, or let in everybody.
func (p *patient) checkSocketMode(owner string) (amiss bool) {
	mode, unit := socketMode(owner), p.unit("socket")
	what, why := "", ""
	switch {
	case len(mode) != 4:
		return false
	case strings.ContainsRune("2367", rune(mode[3])):
		what, why = "the socket is open to everybody: "+owner, "whoever may open it may read and delete all data"
	case len(p.changed("socket", key("SocketMode"))) > 0 && !strings.ContainsRune("67", rune(mode[2])):
		what, why = "members of its group cannot open the socket: "+owner, "both reading and writing are needed"
	default:
		return false
	}
	fix := install.Sudo("chmod 0660 " + p.path)
	if lines := p.changed("socket", key("SocketMode")); len(lines) > 0 {
		why += "; " + lines[0].String()
		fix = p.undo(unit, lines)
	}
	p.found("permissions", statusWarning, what, why, fix)
	return true
}

// socketMode is the mode in "root:kvstore (0660)".
func socketMode(owner string) string {
	_, mode, _ := strings.Cut(owner, "(")
	return strings.TrimSuffix(mode, ")")
}

// checkReload warns where systemd works by older files than those on disk.
func (p *patient) checkReload(unit string, state map[string]string) {
	if state["NeedDaemonReload"] == "yes" {
		p.found("unit", statusWarning, "the files of "+unit+" were changed, and systemd has not read them", "it goes by what they were before", p.again(unit))
	}
}

// checkSandbox looks at what the process may do, and at who let it.
func (p *patient) checkSandbox() {
	_, _, managed := client.UnitState(p.path, "service")
	var open []string
	if p.procStatus("NoNewPrivs") != "1" {
		open = append(open, "it may gain privileges")
	}
	if p.procStatus("Seccomp") != "2" {
		open = append(open, "system calls are not filtered")
	}
	if caps := strings.TrimLeft(p.procStatus("CapEff"), "0"); caps != "" {
		open = append(open, "it has capabilities ("+caps+")")
	}
	lines := p.changed("service", sandbox)
	if len(lines) > 0 {
		open = append(open, "a drop-in changes its sandbox: "+lines[0].String())
	}
	unit := p.unit("service")
	switch {
	case len(open) == 0:
		p.found("sandbox", statusOK, "no privileges to gain, system calls filtered, no capabilities", "", "")
	case len(lines) > 0:
		p.found("sandbox", statusWarning, strings.Join(open, "; "), "a fault of the daemon or of an engine could do more harm than it need", p.undo(unit, lines))
	case managed:
		p.found("sandbox", statusWarning, strings.Join(open, "; "), "the unit itself was changed, or the daemon was not started by it", "systemctl cat "+unit)
	default:
		p.found("sandbox", statusNote, strings.Join(open, "; ")+" (not started by a unit)", "", "")
	}
}

// checkFiles compares the limit of open files with that of clients.
func (p *patient) checkFiles() {
	limit := p.openFiles()
	if limit == 0 {
		return
	}
	clients, now := p.number("maxclients"), int(p.info.number("connected_clients"))
	switch {
	case limit < clients+64:
		unit := p.unit("service")
		fix := p.dropIn(unit, "files.conf", "[Service]", fmt.Sprintf("LimitNOFILE=%d", clients+1024))
		if lines := p.changed("service", key("LimitNOFILE")); len(lines) > 0 {
			fix = p.undo(unit, lines)
		}
		p.found("limits", statusWarning, fmt.Sprintf("%d open files are allowed, %d clients are to be served (MaxClients=)", limit, clients),
			fmt.Sprintf("from the %dth on they will be refused", limit-63), fix)
	case clients > 0 && now*10 > clients*9:
		p.found("limits", statusWarning, fmt.Sprintf("%d of at most %d clients are connected", now, clients), "further ones will be refused", "kvctl CLIENT LIST    # who they are; or a higher MaxClients= in kvstored.conf")
	default:
		p.found("limits", statusOK, fmt.Sprintf("%d clients of at most %d, %d open files allowed", now, clients, limit), "", "")
	}
}
