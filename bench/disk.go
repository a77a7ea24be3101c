package main

import (
	"fmt"
	"strings"
	"syscall"
)

// The values of Sync= that keep data on disk.
const (
	syncInterval = "interval"
	syncAlways   = "always"
)

// lmdbName is kvstored with its engine lmdb where it runs beside itself.
const lmdbName = "kvstored-lmdb"

// synced is SET while everything is kept, with one of the promises of Sync=.
// A window is two seconds long: both servers sync once a second with interval.
func (o options) synced(mode string) group {
	c := Case{Name: "Sync=" + mode + " ", Connections: o.conns, Keys: o.keys, Value: o.value, seconds: 2, warmup: 0.5}
	if o.quick {
		c.seconds, c.warmup = 1, 0.2
	}
	switch mode {
	case syncInterval:
		c.Pipeline = 16
		c.Marks = []Mark{{Figure: figureCPU, Peer: reference, Limit: 0.5}, {Figure: figureRate, Peer: reference, Limit: 1.5, Least: true}}
	case syncAlways:
		c.Pipeline = 1
		c.Marks = []Mark{{Figure: figureRate, Peer: reference, Limit: 1, Least: true}, {Figure: figureSync, Peer: reference, Limit: 1, Below: true}}
	}
	c.Name += fmt.Sprintf("%s P=%d", verb(c.Get), c.Pipeline)
	return group{name: "Sync " + mode, sync: mode, noFloor: true, clients: o.conns, cases: []Case{c}}
}

// Numbers of file systems that are memory, from statfs(2).
var memoryFileSystems = map[int64]string{0x01021994: "tmpfs", 0x858458f6: "ramfs"}

// inMemoryOnly names the file system of dir if it is no disk.
func inMemoryOnly(dir string) (string, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return "", fmt.Errorf("ask for the file system of %s: %w", dir, err)
	}
	return memoryFileSystems[int64(s.Type)], nil
}

// syncTable has the syncs of the servers whose syncs were counted.
func (r *Report) syncTable(b *strings.Builder) {
	first := true
	for i := range r.Rows {
		row := &r.Rows[i]
		for k := range row.Results {
			if row.Results[k].Syncs.High == 0 {
				continue
			}
			if first {
				b.WriteString("\n| case | server | syncs per request | requests to a sync | syncs/s |\n|---|---|---|---|---|\n")
				first = false
			}
			s := row.Results[k].Syncs
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", row.Name, r.name(row.Peers[k]), small(s), figure(1/s.Median), figure(s.Median*row.Results[k].Rate.Median))
		}
	}
	if !first && r.NoDisk != "" {
		fmt.Fprintf(b, "\nThe data lay on %s: what Sync= costs on a disk is not seen here (set TMPDIR to a directory on one).\n", r.NoDisk)
	}
}

// small prints a spread of figures that may be far below one.
func small(s Spread) string {
	return fmt.Sprintf("%.2g (%.2g–%.2g)", s.Median, s.Low, s.High)
}
