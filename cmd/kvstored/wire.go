package main

import (
	"errors"
	"strconv"
	"time"

	"kvstored/pkg/command"
	"kvstored/pkg/config"
	"kvstored/pkg/logging"
	"kvstored/pkg/reactor"
	"kvstored/pkg/server"
)

// pauseOutput is how many bytes of unread replies stop the reading of a
// client; well before MaxOutput=, or it would be closed and not wait.
const pauseOutput = 32 << 20

// makeServer puts the server in front of the engine.
func (d *daemon) makeServer() error {
	conf := d.conf.Load()
	clients := clientLimit(conf.MaxClients) // warned of here, once
	if clients < conf.MaxClients {
		d.log.Warn("fewer clients than configured: "+conf.Rule("MaxClients")+", but only "+strconv.Itoa(clients),
			logging.Why("the limit of open files allows no more"), logging.Fix("raise LimitNOFILE= of the unit, or ulimit -n"))
	}
	if conf.Reactors > 1 {
		d.log.Warn("one reactor serves: " + conf.Rule("Reactors") + " counts in a later version")
	}
	srv, err := server.New(server.Options{
		Engine:     server.Hosted{Host: d.host},
		Log:        d.log,
		Version:    version,
		Limits:     limitsOf(conf, clients),
		Socket:     socketNames(d.fds)[0],
		Settings:   d.settings,
		Thresholds: thresholdsOf(conf),
		Set:        d.set,
		Rewrite:    func() error { return d.conf.Load().Rewrite(d.where) },
		Shutdown:   d.shutdown,
		Reload:     d.reloadFor,
		Check:      d.checkFor,
		OnRefusing: d.retell,
	})
	if err != nil {
		return err
	}
	for _, fd := range d.fds {
		if err := srv.Listen(fd); err != nil {
			return err
		}
	}
	srv.SetSync(syncMode(conf))
	d.srv = srv
	return nil
}

// limitsOf is what the configuration allows each connection.
func limitsOf(conf *config.Config, clients int) reactor.Limits {
	return reactor.Limits{
		Clients: clients,
		Input:   int(conf.MaxInput),
		Output:  int(conf.MaxOutput),
		Push:    int(conf.MaxSubscriberOutput),
		Pause:   min(pauseOutput, int(conf.MaxOutput)/2),
	}
}

// thresholdsOf is what the configuration calls slow.
func thresholdsOf(conf *config.Config) server.Thresholds {
	return server.Thresholds{
		SlowlogSlowerThan: int64(conf.SlowlogSlowerThan),
		BusyAfter:         time.Duration(conf.BusyAfter) * time.Millisecond,
		SlowlogMaxLen:     conf.SlowlogMaxLen,
		LatencyMonitor:    int64(conf.LatencyMonitor),
		Events:            conf.NotifyKeyspaceEvents,
	}
}

// set is CONFIG SET: all of the settings or none. It does not wait.
func (d *daemon) set(names, values []string) (reactor.Limits, server.Thresholds, error) {
	old := d.conf.Load()
	next := old
	for i, name := range names {
		changed, err := next.With(name, values[i])
		if err != nil {
			return reactor.Limits{}, server.Thresholds{}, &command.ConfigError{Name: name, Why: err.Error()}
		}
		next = changed
	}
	if old.MaxMemory != next.MaxMemory || old.MaxMemoryPolicy != next.MaxMemoryPolicy {
		if err := d.limitInLane(next); err != nil {
			what, why, fix := explain(err)
			return reactor.Limits{}, server.Thresholds{}, errors.New(what + "; why: " + why + "; fix: " + fix)
		}
	}
	if !d.conf.CompareAndSwap(old, next) {
		_ = d.limitInLane(d.conf.Load()) // the engine kept to that one before
		return reactor.Limits{}, server.Thresholds{}, errors.New("the configuration was read again meanwhile; try again")
	}
	d.level.SetLevel(logging.ParseLevel(next.LogLevel))
	for i, name := range names {
		d.log.Info("set over the socket: " + name + "=" + values[i])
	}
	return limitsOf(next, clientLimit(next.MaxClients)), thresholdsOf(next), nil
}

// shutdown ends the daemon as SIGTERM does; now: as a second one does.
func (d *daemon) shutdown(now bool) {
	d.log.Info("asked to end over the socket")
	select {
	case d.shutdowns <- now:
	default: // asked already
	}
}

// settings are the answers of CONFIG GET.
func (d *daemon) settings() []command.Pair {
	var pairs []command.Pair
	for _, p := range d.conf.Load().Get("*") {
		pairs = append(pairs, command.Pair{Name: p.Name, Value: p.Value})
	}
	return pairs
}

// reloadFor is ENGINE LOAD: it does not wait, and goes on when the requester
// goes away.
func (d *daemon) reloadFor(path string, done func(string, error)) {
	go func() { done(d.reload(path)) }()
}
