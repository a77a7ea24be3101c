package command

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// CONFIG over kvstored's settings. Where Redis has a parameter for the same
// thing, its name works, too; parameters of what does not exist here answer
// what is true of it, and can be set to nothing else.

var configHelp = []string{
	"GET <pattern>",
	"    Return parameters matching the glob-like <pattern> and their values.",
	"SET <directive> <value>",
	"    Set the configuration <directive> to <value>; root and the daemon's user only.",
	"RESETSTAT",
	"    Reset statistics reported by the INFO command.",
	"REWRITE",
	"    Make what was set last: writes a drop-in of the configuration file.",
}

// ConfigError says which setting cannot be changed, and why.
type ConfigError struct{ Name, Why string }

func (e *ConfigError) Error() string { return e.Name + "=: " + e.Why }

// alias is a parameter of Redis that one of our settings stands for.
type alias struct {
	name    string
	setting string
	// words maps Redis's words on ours, the one to be told first.
	words [][2]string
	// bytes: the value may have one of Redis's units.
	bytes bool
}

var aliases = []alias{
	{name: "busy-reply-threshold", setting: "BusyAfter"},
	{name: "client-query-buffer-limit", setting: "MaxInput"},
	{name: "dir", setting: "StateDir"},
	{name: "latency-monitor-threshold", setting: "LatencyMonitor"},
	{name: "loglevel", setting: "LogLevel", words: [][2]string{
		{"debug", "debug"}, {"notice", "info"}, {"verbose", "info"}, {"warning", "warning"}, {"nothing", "error"}}},
	{name: "lua-time-limit", setting: "BusyAfter"},
	{name: "maxclients", setting: "MaxClients"},
	{name: "maxmemory", setting: "MaxMemory", bytes: true},
	{name: "maxmemory-policy", setting: "MaxMemoryPolicy"},
	{name: "notify-keyspace-events", setting: "NotifyKeyspaceEvents"},
	{name: "slowlog-log-slower-than", setting: "SlowlogSlowerThan"},
	{name: "slowlog-max-len", setting: "SlowlogMaxLen"},
}

// redisSettings are the settings of Redis that programs ask for, with what is
// true here: redis-benchmark and several client libraries want an answer.
var redisSettings = [][2]string{
	{"activedefrag", "no"},
	{"appendonly", "no"},
	{"bind", ""},
	{"cluster-enabled", "no"},
	{"databases", "16"},
	{"io-threads", "1"},
	{"latency-tracking", "yes"},
	{"latency-tracking-info-percentiles", "50 99 99.9"},
	{"port", "0"},
	{"proto-max-bulk-len", "536870912"},
	{"protected-mode", "no"},
	{"replicaof", ""},
	{"requirepass", ""},
	{"save", ""},
	{"slaveof", ""},
	{"tcp-keepalive", "0"},
	{"timeout", "0"},
	{"tls-port", "0"},
}

// parameters is all there is as name and value, in order; ours is the settings
// as name, value, name, value.
func parameters(ours []string) [][2]string {
	all := slices.Clone(redisSettings)
	for i := 0; i+1 < len(ours); i += 2 {
		name, value := ours[i], ours[i+1]
		same := false
		for _, a := range aliases {
			if a.setting != name {
				continue
			}
			all = append(all, [2]string{a.name, a.told(value)})
			same = same || strings.EqualFold(a.name, name)
		}
		if !same {
			all = append(all, [2]string{name, value})
		}
	}
	slices.SortFunc(all, func(a, b [2]string) int { return strings.Compare(strings.ToLower(a[0]), strings.ToLower(b[0])) })
	return all
}

// told is a setting's value in Redis's words.
func (a *alias) told(value string) string {
	if a.setting == "NotifyKeyspaceEvents" {
		if e, err := ParseEvents(value); err == nil {
			return e.String()
		}
	}
	for _, w := range a.words {
		if w[1] == value {
			return w[0]
		}
	}
	return value
}

// meant is the setting's value for one in Redis's words.
func (a *alias) meant(value string) string {
	for _, w := range a.words {
		if strings.EqualFold(w[0], value) {
			return w[1]
		}
	}
	if a.bytes {
		return fromRedisBytes(value)
	}
	return value
}

func planConfigGet(c *Call) {
	var patterns []string
	for _, a := range c.Args[2:] {
		patterns = append(patterns, string(a))
	}
	c.Reply.Step = func(x *Exec, _ *Reply) {
		ours := x.Host.Config([]string{"*"})
		all := parameters(ours)
		for i := range all { // clients want a number where the administrator set a percentage
			if all[i][0] == "maxmemory" && strings.HasSuffix(all[i][1], "%") {
				bytes, _ := x.Host.MemoryLimit()
				all[i][1] = strconv.FormatUint(bytes, 10)
			}
		}
		found := configMatches(all, ours, patterns)
		x.W.Map(len(found))
		for _, p := range found {
			x.W.BulkString(p[0])
			x.W.BulkString(p[1])
		}
	}
}

// configMatches is the parameters that match, each once: one that was asked
// for by its name has the name that was asked for. A setting spelt as in the
// configuration file has its words, too.
func configMatches(all [][2]string, ours, patterns []string) [][2]string {
	var found [][2]string
	has := func(name string) bool {
		return slices.ContainsFunc(found, func(f [2]string) bool { return strings.EqualFold(f[0], name) })
	}
	for _, pattern := range patterns {
		plain := !strings.ContainsAny(pattern, "[*?")
		if i := slices.Index(ours, pattern); plain && i >= 0 && i%2 == 0 && !has(pattern) {
			found = append(found, [2]string{ours[i], ours[i+1]})
		}
		for _, p := range all {
			switch {
			case has(p[0]):
			case plain && strings.EqualFold(p[0], pattern):
				found = append(found, [2]string{pattern, p[1]})
			case !plain && Match([]byte(pattern), []byte(p[0]), true):
				found = append(found, p)
			}
		}
	}
	return found
}

// planConfigSet changes all of the parameters or none.
func planConfigSet(c *Call) {
	if len(c.Args)%2 != 0 {
		c.Fail(syntaxError)
		return
	}
	var names, values []string
	for i := 2; i < len(c.Args); i += 2 {
		name, value := string(c.Args[i]), string(c.Args[i+1])
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			c.Fail(configFailed(name, "duplicate parameter"))
			return
		}
		names, values = append(names, name), append(values, value)
	}
	c.Reply.Step = func(x *Exec, _ *Reply) {
		if err := setConfig(x, names, values); err != "" {
			x.W.Error(err)
			return
		}
		x.W.Status("OK")
	}
}

func configFailed(name, why string) string {
	return fmt.Sprintf("ERR CONFIG SET failed (possibly related to argument '%s') - %s", clip([]byte(name), 128), why)
}

// setConfig changes settings by Redis's names or ours; the error is a reply.
func setConfig(x *Exec, names, values []string) string {
	ours := x.Host.Config([]string{"*"})
	var settings, texts, asked []string
	for i, name := range names {
		setting, text, err := oneSetting(ours, name, values[i])
		if err != "" {
			return err
		}
		if setting != "" {
			settings, texts, asked = append(settings, setting), append(texts, text), append(asked, name)
		}
	}
	if len(settings) == 0 {
		return ""
	}
	err := x.Host.SetConfig(settings, texts)
	var bad *ConfigError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &bad):
		if i := slices.Index(settings, bad.Name); i >= 0 {
			return configFailed(asked[i], bad.Why)
		}
	}
	return "ERR CONFIG SET failed - " + oneLine(err.Error())
}

// oneSetting finds our setting for a parameter, "" where there is nothing to
// change; the error is a reply.
func oneSetting(ours []string, name, value string) (setting, text, err string) {
	if i := slices.Index(ours, name); i >= 0 && i%2 == 0 {
		return name, value, ""
	}
	for _, a := range aliases {
		if strings.EqualFold(a.name, name) {
			return a.setting, a.meant(value), ""
		}
	}
	for i := 0; i < len(ours); i += 2 {
		if strings.EqualFold(ours[i], name) {
			return ours[i], value, ""
		}
	}
	for _, s := range redisSettings {
		switch {
		case !strings.EqualFold(s[0], name):
		case strings.EqualFold(s[1], value):
			return "", "", ""
		default:
			return "", "", configFailed(name, fmt.Sprintf("it is always '%s' here", s[1]))
		}
	}
	return "", "", fmt.Sprintf("ERR Unknown option or number of arguments for CONFIG SET - '%s'", clip([]byte(name), 128))
}

func planConfigResetstat(c *Call) {
	c.Reply.Step = func(x *Exec, _ *Reply) {
		x.Host.ResetStats()
		x.W.Status("OK")
	}
}

func planConfigRewrite(c *Call) {
	c.Reply.Step = func(x *Exec, _ *Reply) {
		if err := x.Host.RewriteConfig(); err != nil {
			x.W.Error("ERR Rewriting config file: " + oneLine(err.Error()))
			return
		}
		x.W.Status("OK")
	}
}
