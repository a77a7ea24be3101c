package main

import (
	"net"
	"strconv"
	"syscall"
)

// credential is that of a user who belongs to no group but one of the same number.
func credential(uid string) *syscall.SysProcAttr {
	n, err := strconv.ParseUint(uid, 10, 32)
	if err != nil {
		panic(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(n), Gid: uint32(n)}}
}

// abandonedSocket leaves the file of a socket whose daemon is gone.
func abandonedSocket(path string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	return l.Close()
}
