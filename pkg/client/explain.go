package client

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Advice is the reason of a failure and what mends it; either may be empty.
// Fix may have several lines.
type Advice struct {
	Why string
	Fix string
}

// Explain looks at the files, at this user's groups and at systemd, and says
// why the daemon could not be reached and which command mends that.
func (e *ConnectError) Explain() Advice {
	switch e.Reason {
	case Missing:
		return e.explainMissing()
	case NotSocket:
		return Advice{Why: e.named(), Fix: e.other()}
	case Denied:
		return e.explainDenied()
	case Refused:
		return e.explainRefused()
	case Busy:
		return e.explainBusy()
	case Foreign:
		return Advice{Why: plainError(e.Err), Fix: e.other()}
	}
	if e.Err == syscall.ENAMETOOLONG {
		return Advice{
			Why: "the path has " + strconv.Itoa(len(e.Path)) + " bytes, a socket takes " + strconv.Itoa(maxSocketPath),
			Fix: "use a shorter path, such as that of a link to the directory",
		}
	}
	return Advice{Why: e.named()}
}

// named says who chose the path.
func (e *ConnectError) named() string {
	switch e.From {
	case FromRuntime:
		return "it is where a daemon of your own would listen"
	case FromDefault:
		return "it is where the daemon of this machine listens"
	}
	return string(e.From) + " names it"
}

// other says how to use another socket.
func (e *ConnectError) other() string {
	switch e.From {
	case FromEnv:
		return "unset KVSTORE_SOCKET, or use --socket PATH"
	case FromFlag:
		return "use --socket " + SystemSocket + ", or the path given to kvstored --listen"
	}
	return "use --socket PATH"
}

// unit is the socket unit that makes the socket at the path, if one does.
func (e *ConnectError) unit() unit {
	if e.Path == userSocket() {
		return unit{name: "kvstored", user: true}
	}
	dir, file := filepath.Split(e.Path)
	instance, isSocket := strings.CutSuffix(file, ".sock")
	switch {
	case dir != systemDir || !isSocket || instance == "":
		return unit{}
	case e.Path == SystemSocket:
		return unit{name: "kvstored"}
	}
	return unit{name: "kvstored@" + instance}
}

// explainMissing covers a path where nothing is.
func (e *ConnectError) explainMissing() Advice {
	u := e.unit()
	if u.name == "" {
		why := "no daemon has made it"
		if e.From != FromDefault {
			why += "; " + e.named()
		}
		return Advice{Why: why, Fix: "kvstored --listen " + shellWord(e.Path) + ", or " + e.other()}
	}
	return e.explainUnit(u, "no daemon runs, and systemd does not run here to start one", "its file was removed")
}

// explainRefused covers a socket that nobody listens on.
func (e *ConnectError) explainRefused() Advice {
	return e.explainUnit(e.unit(), "nobody listens; the daemon that made the socket is gone", "another socket lies at its path")
}

// explainUnit covers a socket without a listener: alone is why where systemd
// does not make it, amiss what must have happened if systemd listens.
func (e *ConnectError) explainUnit(u unit, alone, amiss string) Advice {
	if u.name == "" || !u.managed() {
		return Advice{Why: alone, Fix: "kvstored --listen " + shellWord(e.Path)}
	}
	return u.explain(amiss)
}

// explainBusy covers a daemon that takes no connections.
func (e *ConnectError) explainBusy() Advice {
	u := e.unit()
	if u.name == "" || !u.managed() {
		return Advice{Why: "the daemon takes no new connections", Fix: "look at the daemon's own messages"}
	}
	return Advice{Why: u.name + ".service takes no new connections", Fix: u.systemctlRead("status " + u.name + ".service")}
}

// explainDenied covers a socket that this user may not open.
func (e *ConnectError) explainDenied() Advice {
	me := userName(os.Geteuid())
	if dir := closedDirectory(e.Path); dir != "" {
		text, _, _ := ownership(dir)
		return Advice{
			Why: "the directory " + dir + " belongs to " + text + "; you are " + me,
			Fix: "sudo kvctl …, or " + e.other(),
		}
	}
	text, st, ok := ownership(e.Path)
	if !ok {
		return Advice{Why: "the file cannot be looked at; you are " + me, Fix: e.other()}
	}
	return deniedAdvice(text, st, me, slices.Contains(processGroups(), int(st.Gid)), memberOf(me, int(st.Gid)))
}

// deniedAdvice says how the user me gets to a socket: acting is whether this
// process has its group, member whether the group database gives it to me.
func deniedAdvice(text string, st *syscall.Stat_t, me string, acting, member bool) Advice {
	group := groupName(int(st.Gid))
	switch {
	case st.Gid == 0 || st.Mode&0o060 != 0o060 || acting:
		return Advice{Why: "it belongs to " + text + "; you are " + me, Fix: "sudo kvctl …"}
	case member:
		return Advice{
			Why: me + " is in " + group + ", but this login is older",
			Fix: "log in again, or: newgrp " + group,
		}
	}
	return Advice{
		Why: "it belongs to " + text + "; you are " + me + ", not in " + group,
		Fix: "sudo usermod -aG " + group + " " + me + ", then log in again",
	}
}

// processGroups are the groups that this process acts with.
func processGroups() []int {
	groups, err := os.Getgroups()
	if err != nil {
		groups = nil
	}
	return append(groups, os.Getegid())
}

// Explain says why the command was not repeated and how to find out what
// became of it.
func (e *LostError) Explain() Advice {
	name, key := e.parts()
	happened := "the daemon went away"
	if nc, err := probe(e.path); err == nil {
		_ = nc.Close()
		happened = "the daemon restarted"
	}
	a := Advice{Why: happened + "; whether " + name + " happened is unknown, so it was not repeated"}
	if e.Others > 0 {
		a.Why = happened + "; whether they happened is unknown, so they were not repeated"
	}
	switch {
	case e.Midway:
		return Advice{Why: happened, Fix: "run it again"}
	case e.Queued:
		return Advice{Why: happened + "; MULTI was lost with the connection, and nothing of it was carried out", Fix: "begin again with MULTI"}
	case Repeatable(e.Args) && e.Bound:
		return Advice{Why: happened + "; WATCH was lost with the connection, so " + name + " was not repeated", Fix: "begin again with WATCH"}
	case Repeatable(e.Args):
		a = Advice{Why: "the daemon closed the connection each time " + name + " was sent", Fix: "systemctl status kvstored.service"}
	case strings.HasPrefix(name, "ENGINE "):
		a.Fix = "kvctl engine status, then decide"
	case key != "":
		a.Fix = "kvctl GET " + shellWord(key) + ", then decide"
	default:
		a.Fix = "look at the data, then decide"
	}
	return a
}

// systemctlPath is where systemctl is; empty where it is not.
func systemctlPath() string {
	path, err := exec.LookPath("systemctl")
	if err != nil {
		return ""
	}
	return path
}
