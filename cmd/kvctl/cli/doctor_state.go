package cli

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"kvstored/pkg/client"
	"kvstored/pkg/install"
)

// checkState looks at the directory for what outlives the daemon.
func (p *patient) checkState() {
	dir := p.config["StateDir"]
	if dir == "" {
		p.found("state", statusNote, "no state directory: nothing is kept on disk", "", "")
		return
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist) && !p.reached:
		return // the next start makes it
	case errors.Is(err, os.ErrNotExist):
		p.found("state", statusFailure, "the state directory "+dir+" is missing", "it was removed while the daemon ran, which has the data in memory only now",
			"kvctl export /var/tmp/kvstored.jsonl    # or put the directory back\n"+client.Systemctl(p.path, "restart "+p.unit("service"))+"\nkvctl import /var/tmp/kvstored.jsonl")
		return
	case err != nil:
		p.found("state", statusNote, "the state directory "+dir+" cannot be looked at by you", "", "")
	default:
		p.checkOwner(dir, info)
	}
	p.checkDisk(dir)
}

// checkStopped looks at what a daemon that does not answer may miss.
func (p *patient) checkStopped() {
	_, service, ok := client.UnitState(p.path, "service")
	if dir, _, _ := strings.Cut(service["StateDirectory"], " "); ok && dir != "" && strings.HasPrefix(p.path, systemSockets) {
		p.config = map[string]string{"StateDir": "/var/lib/" + dir}
		p.checkState()
	}
}

// checkOwner wants the directory to be the daemon's, and nobody else's.
func (p *patient) checkOwner(dir string, info os.FileInfo) {
	st, known := info.Sys().(*syscall.Stat_t)
	uid, _, _ := strings.Cut(p.procStatus("Uid"), "\t")
	switch {
	case known && uid != "" && uid != strconv.Itoa(int(st.Uid)):
		p.found("state", statusFailure, fmt.Sprintf("the state directory %s belongs to %s, the daemon is %s", dir, userName(strconv.Itoa(int(st.Uid))), userName(uid)),
			"it cannot make files there", install.Sudo("chown -R "+userName(uid)+": "+dir))
	case info.Mode().Perm()&0o077 != 0:
		p.found("state", statusWarning, fmt.Sprintf("the state directory %s has mode %04o", dir, info.Mode().Perm()), "others may see what it holds", install.Sudo("chmod 0700 "+dir))
	default:
		p.found("state", statusOK, dir+" is its owner's alone", "", "")
	}
}

// userName is the name of a user, or the number of one without.
func userName(uid string) string {
	u, err := user.LookupId(uid)
	if err != nil {
		return uid
	}
	return u.Username
}

// checkDisk looks at whether the disk takes what is written.
func (p *patient) checkDisk(dir string) {
	where := existing(dir)
	if m, ok := mountOf(where); ok && m.readOnly {
		p.found("disk", statusFailure, "the file system at "+m.point+" is read-only", "writes are refused, reads go on; what the kernel says of it: "+install.Sudo("dmesg"), p.writable(m))
		return
	}
	var fs syscall.Statfs_t
	if syscall.Statfs(where, &fs) != nil || fs.Blocks == 0 {
		return
	}
	free := int64(fs.Bavail) * fs.Bsize
	used := int64(p.info.number("used_memory_dataset"))
	share := float64(fs.Bavail) * 100 / float64(fs.Blocks)
	left := fmt.Sprintf("%s free (%.0f%%)", size(free), share)
	const room = "    # what takes the room; remove some of it"
	switch {
	case p.engine["writes"] == "refused" && free < 2*used+1<<20:
		p.found("disk", statusFailure, "writes are refused: "+p.engine["writes_why"]+"; "+left+" where "+dir+" lies", "reads go on, and writes are taken again as soon as there is room", install.Sudo("du -xh "+where)+room)
	case p.engine["writes"] == "refused":
		p.found("disk", statusFailure, "writes are refused: "+p.engine["writes_why"], "reads go on; the last write that was tried said so; "+left+" now", "journalctl -u "+p.unit("service")+" -n 20")
	case share < 5 || free < 2*used:
		p.found("disk", statusWarning, left+" where "+dir+" lies", "writes are refused when the disk is full", install.Sudo("du -xh "+where)+room)
	default:
		p.found("disk", statusOK, left, "", "")
	}
}

// writable is how a file system that is read-only becomes writable again. One
// that the kernel stopped because of an error is to be checked first, and that
// needs the daemon to let go of it.
func (p *patient) writable(m mount) string {
	socket, service := p.unit("socket"), p.unit("service")
	if !m.stopped {
		fix := install.Sudo("mount -o remount,rw " + m.point)
		if !p.reached {
			fix += "\n" + client.Systemctl(p.path, "reset-failed "+service+" "+socket) + "\n" + client.Systemctl(p.path, "start "+socket)
		}
		return fix
	}
	return client.Systemctl(p.path, "stop "+socket+" "+service) + "\n" +
		install.Sudo("umount "+m.point) + "\n" +
		install.Sudo("fsck -y "+m.source) + "\n" +
		install.Sudo("mount "+m.source+" "+m.point) + "\n" +
		client.Systemctl(p.path, "start "+socket)
}

// unit is the name of the unit of that kind behind the socket.
func (p *patient) unit(kind string) string {
	if name, _, ok := client.UnitState(p.path, kind); ok {
		return name
	}
	return "kvstored." + kind
}

// mount is a file system as the kernel lists it.
type mount struct {
	point, source     string
	readOnly, stopped bool // stopped: by the kernel, after an error
}

// mountOf is the file system that holds a directory.
func mountOf(dir string) (m mount, ok bool) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return mount{}, false
	}
	return mountIn(string(data), dir)
}

// mountIn finds it in the text of a mountinfo; of two at one place the later
// one counts.
func mountIn(text, dir string) (m mount, ok bool) {
	unquote := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(text) {
		left, right, _ := strings.Cut(line, " - ")
		f, kind := strings.Fields(left), strings.Fields(right)
		if len(f) < 6 || len(kind) < 3 {
			continue
		}
		point := unquote.Replace(f[4])
		if !lies(dir, point) || ok && len(point) < len(m.point) {
			continue
		}
		options := strings.Split(f[5]+","+kind[2], ",")
		has := func(option string) bool { return slices.Contains(options, option) }
		m, ok = mount{point: point, source: unquote.Replace(kind[1]), stopped: has("emergency_ro") || has("shutdown")}, true
		m.readOnly = m.stopped || has("ro")
	}
	return m, ok
}

// lies tells whether a path is a directory or lies below it.
func lies(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// existing is the nearest directory above that can be looked at.
func existing(dir string) string {
	for dir != "/" {
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return dir
}
