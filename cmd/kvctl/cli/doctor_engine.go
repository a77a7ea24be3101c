package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"kvstored/pkg/client"
	"kvstored/pkg/install"
)

// checkEngine looks at the library in use and on disk.
func (p *patient) checkEngine() {
	e := p.engine
	if e["engine"] == "" {
		return
	}
	name := e["engine"] + " " + e["version"]
	service := p.unit("service")
	switch e["disk"] {
	case "same", "":
		if !p.checkTrust(e["path"]) {
			p.found("engine", statusOK, name+" serves, from "+e["path"], "", "")
		}
	case "missing":
		p.found("engine", statusFailure, name+" serves, but "+e["path"]+" is gone", "the next start will fail", comeBack(e["path"]))
	case "unreadable":
		p.found("engine", statusFailure, name+" serves, but "+e["path"]+" cannot be read by the daemon", "the next start will fail", "namei -l "+e["path"]+"    # who may read it")
	default:
		p.found("engine", statusWarning, name+" serves, but "+e["path"]+" is another one now", "it was replaced and not loaded yet", client.Systemctl(p.path, "reload "+service))
	}
	if e["last_error"] != "" {
		p.found("engine", statusWarning, "the last reload was refused: "+e["last_error"], e["last_error_why"], install.ByUser(e["last_error_fix"]))
	}
	if n, _ := strconv.Atoi(e["still_mapped"]); n > 0 {
		p.found("engine", statusWarning, counted(int64(n), "old library")+" could not be unloaded", "it left threads or static objects behind; memory is lost", client.Systemctl(p.path, "restart "+service))
	}
}

// comeBack is how the library at path comes back.
func comeBack(path string) string {
	if pkg := install.Of(path); pkg != "" {
		return install.Missing(pkg)
	}
	return "# install " + path + " again, or serve another engine:\n" + install.Sudo("kvctl engine use hash")
}

// checkTrust looks whether somebody could put other code at path: the daemon
// refuses such a file when it is to load it. A user's own daemon takes what is
// that user's.
func (p *patient) checkTrust(path string) (amiss bool) {
	if !strings.HasPrefix(p.path, systemSockets) {
		return false
	}
	places := []string{path}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		places = []string{real}
	}
	for dir := places[0]; dir != "/" && dir != "."; {
		dir = filepath.Dir(dir)
		places = append(places, dir)
	}
	for _, place := range places {
		if what, fix := untrusted(place); what != "" {
			p.found("engine", statusFailure, place+" "+what, "others could put their code into the daemon, so the next start or reload refuses "+path, fix)
			return true
		}
	}
	return false
}

// systemSockets is where the sockets of the system's daemons are.
const systemSockets = "/run/kvstored/"

// untrusted says what is wrong with the owner or the mode of a library or a
// directory above it, and what mends that.
func untrusted(place string) (what, fix string) {
	info, err := os.Stat(place)
	if err != nil {
		return "", ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
	case st.Uid != 0:
		return "belongs to " + userName(strconv.Itoa(int(st.Uid))), install.Sudo("chown root:root " + client.ShellWord(place))
	case info.IsDir() && st.Mode&syscall.S_ISVTX != 0:
	case st.Mode&0o002 != 0, st.Mode&0o020 != 0 && st.Gid != 0:
		return fmt.Sprintf("is writable by others (%04o)", st.Mode&0o7777), install.Sudo("chmod go-w " + client.ShellWord(place))
	}
	return "", ""
}
