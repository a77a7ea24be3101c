// Package systemd speaks with the service manager: which sockets it passed to
// this process, what it wants to be told, and the journal.
//
//	sockets, err := systemd.Sockets()     // who listens, what else was passed
//	notify := systemd.NewNotifier()       // silent when nobody asked
//	notify.Ready()
//	notify.Status("3 clients, 12 keys")   // sent only when it changed
//
// Everything works, and does nothing, in a process that systemd did not
// start. The environment variables read here are removed, so that no child
// takes them for its own.
package systemd
