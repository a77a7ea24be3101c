//go:build system

package system

import (
	"fmt"
	"strings"
	"time"
)

// refusesOthersData has another engine configured while the daemon is stopped:
// the start refuses, and what it says to do brings the data back.
func (m *machine) refusesOthersData() {
	m.run("apt-get install kvstored-engine-lmdb && kvctl SET name Rojalin EX 10000")
	m.wrongEngine("hash", "lmdb")
	m.run("kvctl engine use lmdb && systemctl restart kvstored.service")
	m.is("lmdb", "kvctl engine status | sed -n 's/^engine=//p'")
	m.wrongEngine("lmdb", "hash")

	m.run("systemctl stop kvstored.socket kvstored.service && dpkg -r kvstored-engine-lmdb && systemctl start kvstored.socket")
	m.closes("engines/lmdb.so: no such file")
	m.mends("engines/lmdb.so: no such file")
	m.hasName()
	m.run("kvctl engine use hash && systemctl restart kvstored.service")
	m.hasName()
	m.run("rm /etc/kvstored/kvstored.conf.d/50-engine.conf && dpkg -P kvstored-engine-lmdb && systemctl reload kvstored")
	m.isWell("", "going back to hash")
}

// wrongEngine has the data of owner, and the configuration name another one.
func (m *machine) wrongEngine(owner, other string) {
	m.t.Helper()
	m.again()
	m.run("systemctl stop kvstored.socket kvstored.service && rm -f /etc/kvstored/kvstored.conf.d/50-engine.conf && cp /etc/kvstored/kvstored.conf /opt/kvstored.conf && " +
		"echo Engine=" + other + " >>/etc/kvstored/kvstored.conf && systemctl start kvstored.socket")
	reason := fmt.Sprintf("the state directory %s holds %s data, but the engine is %s", stateDir, owner, other)
	m.closes(reason)
	m.mends(reason)
	m.is(owner, "kvctl engine status | sed -n 's/^engine=//p'")
	m.hasName()
	m.run("cp /opt/kvstored.conf /etc/kvstored/kvstored.conf && kvctl engine use " + owner)
	m.hasName()
}

// closes waits until the service has failed so often that systemd closes the
// socket, and wants kvctl to say why.
func (m *machine) closes(reason string) {
	m.t.Helper()
	said := ""
	m.wait("systemd to close the socket", time.Minute, func() bool {
		said = m.fails("kvctl GET name 2>&1")
		return strings.Contains(said, "systemd closed the socket")
	})
	if !strings.Contains(said, reason) {
		m.t.Errorf("kvctl does not say %q:\n%s", reason, said)
	}
}

// hasName looks whether the data is there, with its expiry.
func (m *machine) hasName() {
	m.t.Helper()
	m.is("Rojalin", "kvctl GET name")
	m.run("test $(kvctl TTL name) -gt 9000")
}
