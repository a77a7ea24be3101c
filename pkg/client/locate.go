package client

import (
	"os"
	"path/filepath"
)

// SystemSocket is where the machine's own daemon listens.
const SystemSocket = systemDir + "kvstored.sock"

// systemDir holds the sockets of the machine's daemons: kvstored@NAME.socket
// makes NAME.sock in it.
const systemDir = "/run/kvstored/"

// Source says what named a socket.
type Source string

// What may name a socket, the strongest first.
const (
	FromFlag    Source = "--socket"
	FromEnv     Source = "KVSTORE_SOCKET"
	FromRuntime Source = "XDG_RUNTIME_DIR"
	FromDefault Source = ""
)

// Locate answers which socket to use: the one named explicitly, that of
// KVSTORE_SOCKET, the user's own daemon if it has a socket, the machine's.
func Locate(explicit string) (path string, from Source) {
	if explicit != "" {
		return explicit, FromFlag
	}
	if path := os.Getenv("KVSTORE_SOCKET"); path != "" {
		return path, FromEnv
	}
	if path := userSocket(); path != "" {
		if _, err := os.Lstat(path); err == nil {
			return path, FromRuntime
		}
	}
	return SystemSocket, FromDefault
}

// userSocket is where the user's own daemon listens; empty outside a login.
func userSocket() string {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "kvstored", "kvstored.sock")
}
