// Package client speaks to kvstored over its Unix socket.
//
// A program needs three calls:
//
//	c, err := client.Dial("") // the socket that this user has
//	reply, err := c.Do("SET", "name", "Rojalin")
//	defer c.Close()
//
// Dial returns at once; a daemon that systemd has not started yet is started
// by the connection.  A failed Dial returns a *ConnectError whose Explain
// names the cause and the command that mends it.
//
// An error that the server answers is a *ServerError, returned by Do beside
// the reply.  A connection that breaks is made again where that is safe: the
// commands in flight only read, or the daemon certainly did not read them.  Otherwise
// the outcome of a command is unknown, it is not repeated, and the error is a
// *LostError that names it.
//
// Many commands travel at once with Send, Flush and Receive.  Replies of any
// size are read piece by piece with ReceiveStream: a value of 300 MiB does
// not need 300 MiB of memory.
//
// A Conn is used by one goroutine at a time.
//
// This package imports nothing of the server.
package client
