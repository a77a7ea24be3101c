//go:build system

package system

import (
	"encoding/json"
	"strings"
	"time"
)

// finding is what kvctl doctor says of one check.
type finding struct{ Check, Status, What, Why, Fix string }

// doctor runs kvctl doctor, by way of `as`, and returns what is not well.
func (m *machine) doctor(as string) (amiss []finding, code int) {
	m.t.Helper()
	out, code := m.try(as + "kvctl --json doctor")
	var report struct{ Checks []finding }
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		m.t.Fatalf("kvctl --json doctor: %v\n%s", err, out)
	}
	for _, f := range report.Checks {
		if f.Status != "ok" {
			amiss = append(amiss, f)
		}
	}
	return amiss, code
}

// commands are the lines of a fix for a shell, as they were printed; the first
// that fails ends it. That fsck mended something is no failure.
func commands(fix string) string {
	script := "set -e; export DEBIAN_FRONTEND=noninteractive\n"
	for line := range strings.Lines(fix) {
		script += strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "fsck ") {
			script += " || [ $? = 1 ]"
		}
		script += "\n"
	}
	return script
}

// finds wants the doctor to find what, and returns it.
func (m *machine) finds(as, what string) finding {
	m.t.Helper()
	amiss, _ := m.doctor(as)
	for _, f := range amiss {
		if strings.Contains(f.What+"\n"+f.Why, what) {
			m.t.Logf("%s: %s: %s; why: %s; fix: %s", m.suite, f.Status, f.What, strings.ReplaceAll(f.Why, "\n", "; "), strings.ReplaceAll(f.Fix, "\n", "; "))
			return f
		}
	}
	m.t.Fatalf("kvctl doctor does not find %q, but: %+v", what, amiss)
	return finding{}
}

// isWell wants the doctor to find nothing.
func (m *machine) isWell(as, after string) {
	m.t.Helper()
	if left, code := m.doctor(as); len(left) > 0 || code != 0 {
		m.t.Fatalf("after %s: exit %d, %+v", after, code, left)
	}
}

// mends wants the doctor to find what, does what it says, word for word, and
// wants it to find nothing then.
func (m *machine) mends(what string) {
	m.t.Helper()
	f := m.finds("", what)
	if out, code := m.try(commands(f.Fix)); code != 0 {
		m.t.Fatalf("what the doctor says against %q fails:\n%s\n%s", f.What, f.Fix, out)
	}
	m.isWell("", "doing what the doctor said against: "+f.What)
}

// localRepository is where apt finds our packages; there is no network.
func (m *machine) localRepository() {
	m.t.Helper()
	m.run(`mkdir -p /opt/repo && cd /opt/repo && cp ../kvstored.deb ../lmdb.deb . &&
		for f in *.deb; do dpkg-deb -f $f; echo "Filename: ./$f"; echo "Size: $(stat -c %s $f)"
			echo "SHA256: $(sha256sum $f | cut -d' ' -f1)"; echo; done >Packages &&
		rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* && echo 'deb [trusted=yes] file:/opt/repo ./' >/etc/apt/sources.list &&
		echo 'APT::Get::Assume-Yes "true";' >/etc/apt/apt.conf.d/90yes && apt-get update`)
}

// again forgets how often the units were started lately.
func (m *machine) again() {
	m.t.Helper()
	m.run("systemctl reset-failed kvstored.service kvstored.socket 2>/dev/null || :")
}

const library = engineDir + "/hash.so"

// unitDropIn puts a drop-in of a unit in force.
func unitDropIn(unit, text string) string {
	dir := "/etc/systemd/system/" + unit + ".d"
	return "mkdir -p " + dir + " && printf '" + text + "' >" + dir + "/test.conf && systemctl daemon-reload && systemctl restart " + unit
}

// troubles are things that go wrong one at a time, and what the doctor says.
var troubles = []struct{ harm, says string }{
	{"systemctl disable --now kvstored.socket", "kvstored.socket is inactive"},
	{"systemctl disable kvstored.socket", "kvstored.socket is active, but not enabled"},
	{"systemctl mask --now kvstored.socket", "kvstored.socket is masked"},
	{unitDropIn("kvstored.socket", `[Socket]\nSocketMode=0666\n`), "the socket is open to everybody: root:kvstore (0666)"},
	{unitDropIn("kvstored.socket", `[Socket]\nSocketMode=0600\n`), "members of its group cannot open the socket: root:kvstore (0600)"},
	{unitDropIn("kvstored.service", `[Service]\nPrivateNetwork=no\n`), "a drop-in changes its sandbox: PrivateNetwork=no"},
	{unitDropIn("kvstored.service", `[Service]\nSystemCallFilter=\nProtectSystem = full\n`), "a drop-in changes its sandbox: SystemCallFilter="},
	{unitDropIn("kvstored.service", `[Service]\nLimitNOFILE=200\n`), "200 open files are allowed, 10000 clients are to be served"},
	{"mkdir -p /etc/systemd/system/kvstored.service.d && echo >/etc/systemd/system/kvstored.service.d/empty.conf", "systemd has not read them"},
	{"chown root: " + stateDir, "the state directory " + stateDir + " belongs to root, the daemon is kvstore"},
	{"chmod 755 " + stateDir, "the state directory " + stateDir + " has mode 0755"},
	{"mv " + stateDir + " /opt/away", "the state directory " + stateDir + " is missing"},
	{"chgrp kvstore " + library + " && chmod g+w " + library, library + " is writable by others (0664)"},
	{"chown asha " + engineDir, engineDir + " belongs to asha"},
	{"rm " + library, "serves, but /usr/lib/libkvstore.so is gone"},
	{"rm /usr/lib/libkvstore.so", "serves, but /usr/lib/libkvstore.so is gone"},
	{"install -m 644 /opt/hash-next.so " + library, "is another one now"},
	{"systemctl stop kvstored.service && rm " + library + " && ! kvctl PING", "kvstored.service kept failing"},
}

// doctors breaks one thing at a time.
func (m *machine) doctors() {
	m.localRepository()
	m.copyIn(built("test/hash-next.so"), "/opt/hash-next.so", 0o644)
	for _, t := range troubles {
		m.again()
		if out, code := m.try(t.harm); code != 0 {
			m.t.Fatalf("%s: %s", t.harm, out)
		}
		m.mends(t.says)
		m.is("Rojalin", "kvctl GET name")
	}
	m.again()
	m.wrongConfiguration()
	m.again()
	m.wrongUsers()
	m.run("apt-get install --reinstall kvstored && rm -rf /opt/away /etc/systemd/system/kvstored.*.d && systemctl daemon-reload")
	m.noFailedUnits()
}

// wrongConfiguration has a mistake in the configuration close the socket: what
// it is stands in the advice, of any kvctl.
func (m *machine) wrongConfiguration() {
	m.run("mkdir -p /etc/kvstored/kvstored.conf.d && echo MaxMemroy=1G >/etc/kvstored/kvstored.conf.d/typo.conf && systemctl stop kvstored.service")
	said := ""
	m.wait("systemd to close the socket", time.Minute, func() bool {
		said = m.fails("kvctl PING 2>&1")
		return strings.Contains(said, "systemd closed the socket")
	})
	for _, want := range []string{"kvstored.conf.d/typo.conf:1: unknown key MaxMemroy", "# did you mean MaxMemory=?"} {
		if !strings.Contains(said, want) {
			m.t.Errorf("kvctl does not say %q:\n%s", want, said)
		}
	}
	m.run("rm /etc/kvstored/kvstored.conf.d/typo.conf")
	m.mends("unknown key MaxMemroy")
}

// wrongUsers has people look who may not open the socket.
func (m *machine) wrongUsers() {
	const asMallory = "runuser -u mallory -- "
	f := m.finds(asMallory, "you are mallory, not in kvstore")
	command, ok := strings.CutSuffix(f.Fix, ", then log in again")
	if !ok {
		m.t.Errorf("the fix is %q", f.Fix)
	}
	m.run(command)
	m.isWell(asMallory, command)

	const older = "setpriv --reuid asha --regid asha --clear-groups "
	f = m.finds(older, "asha is in kvstore, but this login is older")
	if f.Fix != "log in again, or: newgrp kvstore" {
		m.t.Errorf("the fix is %q", f.Fix)
	}
	m.isWell("runuser -u asha -- ", "logging in again")
}
