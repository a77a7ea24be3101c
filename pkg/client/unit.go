package client

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"kvstored/pkg/install"
)

// askLimit bounds a question to systemd or to whoever listens.
const askLimit = 2 * time.Second

// systemdRuns is the directory that exists where systemd is the init; tests
// name another.
var systemdRuns = "/run/systemd/system"

// unit is a pair NAME.socket and NAME.service of systemd.
type unit struct {
	name string // empty: no unit is known to make the socket
	user bool   // of the user's own systemd
}

// managed reports whether systemd runs here and can be asked.
func (u unit) managed() bool {
	_, err := os.Stat(systemdRuns)
	return err == nil && systemctlPath() != ""
}

// show asks systemd for what matters about NAME.kind; empty where it does not answer.
func (u unit) show(kind string) map[string]string {
	args := []string{"show", "--property=LoadState,ActiveState,UnitFileState,Result,ExecMainPID,ExecMainStatus,StateDirectory,FragmentPath,DropInPaths,NeedDaemonReload,MemoryMax", u.name + "." + kind}
	if u.user {
		args = append([]string{"--user"}, args...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, systemctlPath(), args...).Output()
	if err != nil {
		return nil
	}
	return parseShow(string(out))
}

// parseShow reads the NAME=VALUE lines of systemctl show.
func parseShow(out string) map[string]string {
	state := map[string]string{}
	for line := range strings.SplitSeq(out, "\n") {
		if name, value, ok := strings.Cut(line, "="); ok {
			state[name] = value
		}
	}
	return state
}

// systemctl is a command line that changes units.
func (u unit) systemctl(rest string) string {
	if u.user {
		return u.systemctlRead(rest)
	}
	return install.Sudo(u.systemctlRead(rest))
}

// systemctlRead is a command line that only looks.
func (u unit) systemctlRead(rest string) string {
	if u.user {
		return "systemctl --user " + rest
	}
	return "systemctl " + rest
}

// explain says what keeps the socket from being listened on.  amiss is what
// must have happened if systemd listens.
func (u unit) explain(amiss string) Advice {
	socket := u.name + ".socket"
	enable := u.systemctl("enable --now " + socket)
	switch s := u.show("socket"); {
	case s["LoadState"] == "not-found":
		return Advice{Why: "kvstored is not installed", Fix: install.Command("kvstored")}
	case s["LoadState"] == "masked":
		return Advice{Why: socket + " is masked", Fix: u.systemctl("unmask "+socket) + "\n" + enable}
	case s["ActiveState"] == "active":
		return Advice{Why: socket + " is started, but " + amiss, Fix: u.systemctl("restart " + socket)}
	case s["ActiveState"] == "failed":
		return u.failed()
	case s["UnitFileState"] == "enabled":
		return Advice{Why: socket + " is not started (enabled)", Fix: u.systemctl("start " + socket)}
	case s["UnitFileState"] == "":
		return Advice{Why: socket + " is not started", Fix: enable}
	default:
		return Advice{Why: socket + " is not started (" + s["UnitFileState"] + ")", Fix: enable}
	}
}

// failed is the advice where systemd gave up on the service.
func (u unit) failed() Advice {
	why, fix := u.reason()
	if why != "" {
		why = "\n" + why
	}
	if fix == "" {
		fix = u.systemctlRead("status "+u.name+".service") + "    # the reason; then\n"
	}
	return Advice{
		Why: u.name + ".service kept failing; systemd closed the socket" + why,
		Fix: fix + u.systemctl("reset-failed "+u.name+".service "+u.name+".socket") + "\n" +
			u.systemctl("start "+u.name+".socket"),
	}
}

// ServiceState is what systemd says of the service behind a socket: "active",
// "inactive", "failed" and so on; empty where systemd does not manage it.
func ServiceState(path string) string {
	u := (&ConnectError{Path: path}).unit()
	if u.name == "" || !u.managed() {
		return ""
	}
	s := u.show("service")
	if s["LoadState"] != "loaded" {
		return ""
	}
	return s["ActiveState"]
}

// probe connects without asking anything.
func probe(path string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	return dialSocket(ctx, path)
}

// lookup finds the name with a number in a file like /etc/passwd or /etc/group.
func lookup(file string, id int) (string, bool) {
	want := strconv.Itoa(id)
	for fields := range records(file) {
		if len(fields) > 2 && fields[2] == want {
			return fields[0], true
		}
	}
	return "", false
}

// memberOf reports whether the group database has user in the group gid, be it
// as a member or by the user's own first group.
func memberOf(user string, gid int) bool {
	want := strconv.Itoa(gid)
	for fields := range records("/etc/group") {
		if len(fields) > 3 && fields[2] == want && slices.Contains(strings.Split(fields[3], ","), user) {
			return true
		}
	}
	for fields := range records("/etc/passwd") {
		if len(fields) > 3 && fields[0] == user && fields[3] == want {
			return true
		}
	}
	return false
}

// records yields the fields of each line of a file like /etc/passwd.
func records(file string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		f, err := os.Open(file)
		if err != nil {
			return
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if !yield(strings.Split(lines.Text(), ":")) {
				return
			}
		}
	}
}

// UnitState is what systemd says of the unit of that kind ("socket",
// "service") behind a socket; ok is false where systemd has none.
func UnitState(path, kind string) (name string, state map[string]string, ok bool) {
	u := (&ConnectError{Path: path}).unit()
	if u.name == "" || !u.managed() {
		return "", nil, false
	}
	state = u.show(kind)
	return u.name + "." + kind, state, state["LoadState"] != ""
}

// Systemctl is the command line by which this user has systemd do something
// about the unit behind a socket.
func Systemctl(path, rest string) string {
	return (&ConnectError{Path: path}).unit().systemctl(rest)
}

// Access says who may open a socket and whether this user is among them by
// the file's mode.
func Access(path string) (owner string, mine bool) {
	text, st, ok := ownership(path)
	if !ok {
		return "", false
	}
	switch {
	case os.Geteuid() == 0 || st.Mode&0o002 != 0:
		mine = true
	case int(st.Uid) == os.Geteuid():
		mine = st.Mode&0o200 != 0
	default:
		mine = st.Mode&0o020 != 0 && slices.Contains(processGroups(), int(st.Gid))
	}
	return text, mine
}
