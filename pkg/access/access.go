// Package access knows who is at the other end of a connection, as the kernel
// says it, and what that allows.
//
// The kernel notes the peer at connect(2) and never changes it: a process
// that drops its rights later keeps, on this connection, those it had.
package access

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Peer is the process that opened a connection.
type Peer struct {
	UID uint32
	GID uint32
	PID int32 // 0 when it lives in a pid namespace that we cannot see
}

// Of gives the peer of the connected Unix socket fd.
func Of(fd int) (Peer, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, fmt.Errorf("asking who is connected: %w", err)
	}
	return Peer{UID: cred.Uid, GID: cred.Gid, PID: cred.Pid}, nil
}

// MayLoadCode says whether p may have a library loaded into this daemon:
// root, and whoever the daemon itself runs as (its ExecReload= does). To be
// allowed to open the socket is not enough.
func MayLoadCode(p Peer) bool { return mayLoadCode(p, uint32(os.Geteuid())) }

func mayLoadCode(p Peer, own uint32) bool { return p.UID == 0 || p.UID == own }
