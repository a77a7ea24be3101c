package cli

import (
	"strconv"
	"strings"

	"kvstored/pkg/client"
)

// info is what INFO says, by name.
type info map[string]string

// readInfo asks the server.
func readInfo(c *client.Conn) (info, error) {
	r, err := c.Do("INFO", "everything")
	if err != nil {
		return nil, err
	}
	return parseInfo(r.Text()), nil
}

// parseInfo reads the lines NAME:VALUE.
func parseInfo(text string) info {
	all := info{}
	for line := range strings.SplitSeq(text, "\n") {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r"), ":"); ok && !strings.HasPrefix(line, "#") {
			all[name] = value
		}
	}
	return all
}

// number is a value as a number; 0 where it is missing.
func (i info) number(name string) float64 {
	f, _ := strconv.ParseFloat(i[name], 64)
	return f
}

// keys counts the keys of all databases.
func (i info) keys() int64 {
	var total int64
	for name, value := range i {
		if !strings.HasPrefix(name, "db") {
			continue
		}
		if _, err := strconv.Atoi(name[2:]); err != nil {
			continue
		}
		text, _ := strings.CutPrefix(value, "keys=")
		text, _, _ = strings.Cut(text, ",")
		n, _ := strconv.ParseInt(text, 10, 64)
		total += n
	}
	return total
}

// engine names the library and its version.
func (i info) engine() string {
	if i["engine_engine"] != "" {
		return i["engine_engine"] + " " + i["engine_version"]
	}
	return "redis " + i["redis_version"]
}

// sample is what changes between two looks at INFO.
type sample struct {
	Time        string  `json:"time"`
	Engine      string  `json:"engine"`
	Keys        int64   `json:"keys"`
	Commands    float64 `json:"commands_per_second"`
	Connections float64 `json:"connections_per_second"`
	Clients     int64   `json:"clients"`
	Memory      int64   `json:"memory"`
	RSS         int64   `json:"rss"`
	CPU         float64 `json:"cpu_percent"`
	CPUCommand  float64 `json:"cpu_us_per_command"`
	Expired     float64 `json:"expired_per_second"`
	Evicted     float64 `json:"evicted_per_second"`
	Swaps       int64   `json:"swaps"`
	State       string  `json:"state,omitempty"`
}

// between compares two looks that lie seconds apart.
func between(before, now info, seconds float64) sample {
	rate := func(name string) float64 {
		d := now.number(name) - before.number(name)
		if seconds <= 0 || d < 0 { // the daemon was restarted
			return 0
		}
		return d / seconds
	}
	cpu := rate("used_cpu_sys") + rate("used_cpu_user")
	s := sample{
		Engine: now.engine(), Keys: now.keys(), Commands: rate("total_commands_processed"),
		Connections: rate("total_connections_received"), Clients: int64(now.number("connected_clients")),
		Memory: int64(now.number("used_memory")), RSS: int64(now.number("used_memory_rss")), CPU: cpu * 100,
		Expired: rate("expired_keys"), Evicted: rate("evicted_keys"),
		Swaps: int64(now.number("engine_swaps")), State: now["engine_state"],
	}
	if s.Commands > 0 {
		s.CPUCommand = cpu * 1e6 / s.Commands
	}
	return s
}
