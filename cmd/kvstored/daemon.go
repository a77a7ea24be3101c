package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"kvstored/pkg/config"
	"kvstored/pkg/engine"
	"kvstored/pkg/logging"
	"kvstored/pkg/server"
	"kvstored/pkg/systemd"
)

// How long an end may take: stopGrace for clients to read their last replies,
// less than TimeoutStopSec= of the unit; then closeGrace, for which systemd is
// asked, for an exchange of the engine to come to its end and for what the
// engine writes to make the next start quick.
const (
	stopGrace  = 30 * time.Second
	closeGrace = 45 * time.Second
)

// daemon is the running program. What has no guard is set before serve and
// not changed.
type daemon struct {
	options options
	where   config.Where
	level   zap.AtomicLevel
	log     *zap.Logger
	notify  *systemd.Notifier
	watch   time.Duration // how often systemd wants to hear of us; 0: never

	conf atomic.Pointer[config.Config]
	host *engine.Host
	srv  *server.Server
	own  *ownSocket // of --listen, or nil
	fds  []int      // all listening sockets

	shutdowns chan bool              // SHUTDOWN; true: at once
	lost      chan error             // the store became unusable
	reloadMu  sync.Mutex             // held while a reload runs
	others    atomic.Int64           // bytes of the control group that are not data
	limited   chan struct{}          // the limit of memory changed
	hangups   chan struct{}          // SIGHUPs not yet begun, at most one
	busy      atomic.Pointer[string] // what STATUS= says instead of figures
	retold    chan struct{}          // STATUS= is to be set anew, soon
}

// newDaemon takes over what systemd passed by the environment.
func newDaemon(o options, where config.Where, level zap.AtomicLevel, log *zap.Logger) *daemon {
	return &daemon{
		options: o, where: where, level: level, log: log,
		notify: systemd.NewNotifier(), watch: systemd.WatchdogInterval(),
		hangups: make(chan struct{}, 1), limited: make(chan struct{}, 1),
		shutdowns: make(chan bool, 1), lost: make(chan error, 1), retold: make(chan struct{}, 1),
	}
}

// run is the life of the daemon. The error says why it does not start.
func (d *daemon) run() error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	// A reader of our messages that went away must not take us along.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	if err := d.configure(); err != nil {
		return err
	}
	if err := d.openSockets(); err != nil {
		return err
	}
	defer d.closeSockets()
	if err := d.startEngine(); err != nil {
		return err
	}
	defer d.closeHost()
	if err := d.makeServer(); err != nil {
		return err
	}
	return d.serve(signals)
}

// configure reads the configuration for the first time.
func (d *daemon) configure() error {
	conf, err := config.Load(d.where)
	if err != nil {
		return err
	}
	d.conf.Store(conf)
	d.level.SetLevel(logging.ParseLevel(conf.LogLevel))
	tuneRuntime(conf.Reactors)
	return checkStateDir(conf)
}

// checkStateDir wants the state directory, if one is set, to be there.
func checkStateDir(conf *config.Config) error {
	if conf.StateDir == "" {
		return nil
	}
	info, err := os.Stat(conf.StateDir)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	if err == nil {
		err = unix.Access(conf.StateDir, unix.R_OK|unix.W_OK|unix.X_OK)
	}
	if err == nil {
		return nil
	}
	code := exitNotConfigured
	if errors.Is(err, fs.ErrPermission) {
		code = exitNotPermitted
	}
	fix := "sudo install -d -m 0700 -o " + currentUser() + " " + conf.StateDir
	if errors.Is(err, syscall.EROFS) {
		fix = "findmnt -T " + conf.StateDir + "    # its file system, to be mounted writable: kvctl doctor"
	}
	return &failure{code, "cannot use the state directory " + conf.StateDir, bareError(err) + "; " + conf.Rule("StateDir") + " names it", fix}
}

// bareError is an error without the path that the message names already.
func bareError(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// openSockets gathers systemd's sockets and makes the one of --listen.
func (d *daemon) openSockets() error {
	passed, err := systemd.Sockets()
	if err != nil {
		return err
	}
	for _, other := range passed.Others {
		d.log.Warn("not used: a descriptor from systemd that is no listening socket", zap.String("name", other.Name))
		unix.Close(other.FD)
	}
	d.fds = passed.FDs()
	if d.options.listen != "" {
		if d.own, err = listenAt(d.options.listen, d.options.listenGroup); err != nil {
			return err
		}
		d.fds = append(d.fds, d.own.fd)
	}
	if len(d.fds) == 0 {
		return &failure{exitUsage, "no socket to listen on", "systemd passed none, and --listen was not given",
			"sudo systemctl start kvstored.socket, or: kvstored --listen PATH"}
	}
	return nil
}

// closeSockets closes what openSockets opened.
func (d *daemon) closeSockets() {
	if d.own != nil {
		d.own.remove()
	}
	for _, fd := range d.fds {
		unix.Close(fd)
	}
}

// closeHost closes the engine's store. An exchange that is still running is
// not waited for without end: what it copies to goes with the process. Nor is
// the engine; what was acknowledged is on its way to the disk before.
func (d *daemon) closeHost() {
	d.notify.ExtendTimeout(closeGrace + stopGrace/10)
	d.notify.Status("stopping: the engine puts its data in order for the next start")
	closed := make(chan struct{})
	go func() {
		d.host.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(closeGrace):
		d.log.Warn("ending before the engine closed its store: an exchange runs, or the disk is slow")
		d.closeSockets()
		os.Exit(exitOK)
	}
}

// serve runs until a signal ends it.
func (d *daemon) serve(signals <-chan os.Signal) error {
	ended := make(chan struct{})
	go func() {
		d.srv.Run()
		close(ended)
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go d.reloadOnHangup(ctx)
	d.tellServing()
	go d.keepTold(ctx)
	go d.watchMemory(ctx)
	for {
		select {
		case <-ended:
			d.end("the server stopped by itself", "a fault of kvstored")
		case err := <-d.lost:
			d.end("the store became unusable", err.Error())
		case now := <-d.shutdowns:
			cancel()
			if now {
				signals = alreadySignalled()
			}
			return d.stop(syscall.SIGTERM, signals, ended)
		case s := <-signals:
			if s == syscall.SIGHUP {
				d.hangup()
				continue
			}
			cancel()
			return d.stop(s, signals, ended)
		}
	}
}

// alreadySignalled is the signals of a daemon that is not to wait.
func alreadySignalled() <-chan os.Signal {
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	return signals
}

// tellServing says that clients are welcome.
func (d *daemon) tellServing() {
	d.notify.Status(d.serving())
	d.notify.Ready()
	fields := []zap.Field{zap.Int("pid", os.Getpid()), zap.Strings("sockets", socketNames(d.fds))}
	d.log.Info("ready: "+d.serving(), append(fields, zap.String("rule", d.conf.Load().Rule("Engine")))...)
}

// stop lets the server finish what it received; a second signal does not
// wait for that. An engine that never comes back does not keep it from ending.
func (d *daemon) stop(s os.Signal, signals <-chan os.Signal, ended <-chan struct{}) error {
	d.notify.Stopping()
	d.notify.Status("stopping: answering what was received")
	d.log.Info("stopping", zap.String("signal", unix.SignalName(s.(syscall.Signal))))
	d.srv.Stop(stopGrace)
	patience := time.NewTimer(stopGrace + stopGrace/3)
	defer patience.Stop()
	for {
		select {
		case <-ended:
			d.log.Info("stopped")
			return nil
		case s := <-signals:
			if s != syscall.SIGHUP {
				d.srv.Stop(0)
				patience.Reset(stopGrace / 10)
			}
		case <-patience.C:
			d.end("no answer from the serving path", "the engine did not come back")
		}
	}
}

// end gives up at once: neither the engine nor the server can be relied on to
// be closed.
func (d *daemon) end(what, why string) {
	d.log.Error("ending: "+what, logging.Why(why))
	d.closeSockets()
	os.Exit(exitFailure)
}

// socketNames are the paths of listening sockets.
func socketNames(fds []int) []string {
	names := make([]string, 0, len(fds))
	for _, fd := range fds {
		name := "?"
		if address, err := unix.Getsockname(fd); err == nil {
			if u, ok := address.(*unix.SockaddrUnix); ok {
				name = u.Name
			}
		}
		names = append(names, name)
	}
	return names
}
