package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is how a setting is written.
type Kind int

const (
	KindEngine Kind = iota // a name or an absolute path
	KindPath               // an absolute path
	KindCount              // a whole number
	KindSize               // bytes, or with K, M, G, T
	KindTime               // seconds, or with ms, s, min, h
	KindChoice             // one of Choices
	KindEvents             // letters of notify-keyspace-events
	KindMemory             // bytes, or percent of what there is
)

// Setting is one key of kvstored.conf.
type Setting struct {
	Name    string
	Kind    Kind
	Default string
	Min     int64 // of counts, sizes (bytes) and times (milliseconds)
	Max     int64
	Choices []string
	Reload  bool   // whether a reload changes it
	Live    bool   // whether CONFIG SET does, too
	Doc     string // for the manual: whole sentences
	field   func(*Config) any
}

// eventLetters are the classes of events of Redis 7; those of other types
// than strings never happen.
const eventLetters = "KEAg$lshzxetdmn"

// Settings is every key there is, in the order of the manual.
var Settings = []Setting{
	{
		Name: "Engine", Kind: KindEngine, Default: DefaultEngine, Reload: true,
		Doc: "The storage engine to serve: the name of a library in EngineDir= (hash stands for " +
			"EngineDir/hash.so), or the absolute path of a library. A reload exchanges the engine " +
			"under the running clients.",
		field: func(c *Config) any { return &c.Engine },
	}, {
		Name: "EngineDir", Kind: KindPath, Default: "/usr/lib/kvstored/engines", Reload: true,
		Doc: "Where the engines named by Engine= and by the ENGINE LOAD command lie. Only libraries in " +
			"this directory, and the one that Engine= names by its path, are ever loaded; a daemon that " +
			"stands alone (--listen) takes them from anywhere as long as this is not set.",
		field: func(c *Config) any { return &c.EngineDir },
	}, {
		Name: "StateDir", Kind: KindPath, Default: "",
		Doc: "The directory for what outlives the daemon. The default is the directory that systemd " +
			"made (StateDirectory=, in $STATE_DIRECTORY); without one nothing is kept on disk. It belongs to " +
			"one daemon at a time, and its data to one engine, which the file owner in it names.",
		field: func(c *Config) any { return &c.StateDir },
	}, {
		Name: "Sync", Kind: KindChoice, Default: "interval", Reload: true,
		Choices: []string{"always", "interval", "none"},
		Doc: "What an acknowledged write survives, with an engine that can keep data and a state directory. " +
			"always: everything; the answer comes when the disk has it. interval: a crash or a kill of the " +
			"daemon loses nothing, a power failure at most the last second. none: the data lies in memory only. " +
			"A start with none refuses when the state directory holds data; a reload with none takes it into memory.",
		field: func(c *Config) any { return &c.Sync },
	}, {
		Name: "Reactors", Kind: KindCount, Default: "1", Min: 1, Max: 64,
		Doc: "How many threads serve connections. One is best for nearly every machine: the engine is " +
			"entered by one at a time. This version serves with one, and says so when more are set.",
		field: func(c *Config) any { return &c.Reactors },
	}, {
		Name: "MaxClients", Reload: true, Live: true, Kind: KindCount, Default: "10000", Min: 1, Max: 1_000_000,
		Doc: "How many clients may be connected at once. Further ones are told so and closed. It is " +
			"lowered when LimitNOFILE= of the unit does not allow so many.",
		field: func(c *Config) any { return &c.MaxClients },
	}, {
		Name: "MaxInput", Reload: true, Live: true, Kind: KindSize, Default: "1G", Min: 64 << 10, Max: 1 << 40,
		Doc: "How many bytes of a request that is not complete yet one client may have in the daemon. " +
			"A client above it is closed.",
		field: func(c *Config) any { return &c.MaxInput },
	}, {
		Name: "MaxOutput", Reload: true, Live: true, Kind: KindSize, Default: "1G", Min: 1 << 20, Max: 1 << 40,
		Doc: "How many bytes of replies one client may leave unread before it is closed. Long before, " +
			"from 32M on, its further requests wait.",
		field: func(c *Config) any { return &c.MaxOutput },
	}, {
		Name: "MaxSubscriberOutput", Kind: KindSize, Default: "32M", Min: 64 << 10, Max: 1 << 40,
		Doc: "How many bytes of messages, invalidations and MONITOR lines one client may leave unread " +
			"before it is closed.",
		field: func(c *Config) any { return &c.MaxSubscriberOutput },
	}, {
		Name: "BusyAfter", Reload: true, Live: true, Kind: KindCount, Default: "5000", Min: 1, Max: 3_600_000,
		Doc: "How many milliseconds a script may run before the other clients are answered BUSY and SCRIPT " +
			"KILL can end it. Redis calls it busy-reply-threshold.",
		field: func(c *Config) any { return &c.BusyAfter },
	}, {
		Name: "MaxMemory", Kind: KindMemory, Default: "0", Min: 1 << 20, Max: 1 << 50, Reload: true, Live: true,
		Doc: "How much memory the data may take, with its index and what lies unused between; 0 stands for " +
			"no limit. A percentage is of the least that the control group of the service (MemoryMax=, " +
			"MemoryHigh=) and the machine have. Buffers of clients come on top. Where the control group has a " +
			"limit, the data is kept far enough below it for what else the daemon needs, however much is set here: " +
			"keys go, or writes are refused, before the kernel would end the daemon. With 0 nothing of it is done.",
		field: func(c *Config) any { return &c.MaxMemory },
	}, {
		Name: "MaxMemoryPolicy", Kind: KindChoice, Default: "noeviction", Reload: true, Live: true,
		Choices: []string{"noeviction", "allkeys-s3fifo", "allkeys-random", "volatile-s3fifo", "volatile-random",
			"volatile-ttl", "allkeys-lru", "allkeys-lfu", "volatile-lru", "volatile-lfu"},
		Doc: "What happens when the data has reached MaxMemory=. noeviction refuses what needs memory. The others " +
			"remove keys: any (allkeys) or only those with an expiry time (volatile). s3fifo removes what is least " +
			"likely to be used again, by the algorithm S3-FIFO; random removes any; ttl what expires soonest. The " +
			"names of Redis with lru and lfu stand for s3fifo. Needs an engine with the capability limit, such as " +
			"hash; with another one only noeviction is possible.",
		field: func(c *Config) any { return &c.MaxMemoryPolicy },
	}, {
		Name: "CheckTimeout", Kind: KindTime, Default: "10s", Min: 100, Max: 600_000,
		Doc: "How long an engine may take in its trial, in a process of its own, before it is refused. While the daemon " +
			"serves, the trial gives way to it (nice 10): what it waits for a processor does not count, unless " +
			"it takes ten times as long in all.",
		field: func(c *Config) any { return &c.CheckTimeout },
	}, {
		Name: "NotifyKeyspaceEvents", Kind: KindEvents, Default: "", Reload: true, Live: true,
		Doc: "Which changes of keys are published on __keyspace@DB__:KEY (K) and __keyevent@DB__:EVENT (E): " +
			"g of any kind, $ of strings, x expired, e evicted, n new, m looked for and missed; A stands for all " +
			"but n and m. Without one nothing is published and nothing is spent on it. The same as Redis's " +
			"notify-keyspace-events, and CONFIG SET of that name changes it in the running daemon.",
		field: func(c *Config) any { return &c.NotifyKeyspaceEvents },
	}, {
		Name: "LogLevel", Kind: KindChoice, Default: "info", Reload: true, Live: true,
		Choices: []string{"debug", "info", "warning", "error"},
		Doc:     "The least important kind of message that is logged.",
		field:   func(c *Config) any { return &c.LogLevel },
	}, {
		Name: "SlowlogSlowerThan", Reload: true, Live: true, Kind: KindCount, Default: "10000", Min: -1, Max: 1_000_000_000,
		Doc: "From how many microseconds on a command is noted in the slow log (SLOWLOG GET); 0 notes all of " +
			"them, -1 none.",
		field: func(c *Config) any { return &c.SlowlogSlowerThan },
	}, {
		Name: "SlowlogMaxLen", Reload: true, Live: true, Kind: KindCount, Default: "128", Min: 0, Max: 100_000,
		Doc:   "How many slow commands are kept.",
		field: func(c *Config) any { return &c.SlowlogMaxLen },
	}, {
		Name: "LatencyMonitor", Reload: true, Live: true, Kind: KindCount, Default: "0", Min: 0, Max: 1_000_000_000,
		Doc: "From how many milliseconds on commands and housekeeping are noted by the latency monitor " +
			"(LATENCY LATEST); 0 turns it off.",
		field: func(c *Config) any { return &c.LatencyMonitor },
	},
}

// lookup finds a setting by its exact name, or nil.
func lookup(name string) *Setting {
	for i := range Settings {
		if Settings[i].Name == name {
			return &Settings[i]
		}
	}
	return nil
}

// Takes says in words which values a setting takes.
func (s *Setting) Takes() string {
	switch s.Kind {
	case KindEngine:
		return "the name of an engine (hash), or the absolute path of a library"
	case KindPath:
		return "an absolute path"
	case KindCount:
		return fmt.Sprintf("a number from %d to %d", s.Min, s.Max)
	case KindEvents:
		return "letters of " + eventLetters
	case KindSize:
		return fmt.Sprintf("bytes, or with K, M, G or T, from %s to %s", FormatSize(s.Min), FormatSize(s.Max))
	case KindMemory:
		return fmt.Sprintf("bytes, or with K, M, G or T, from %s, or from 1%% to 100%%, or 0", FormatSize(s.Min))
	case KindTime:
		return fmt.Sprintf("seconds, or with ms, s, min or h, from %s to %s",
			FormatTime(time.Duration(s.Min)*time.Millisecond), FormatTime(time.Duration(s.Max)*time.Millisecond))
	default:
		return "one of " + strings.Join(s.Choices, ", ")
	}
}

// set reads text into the setting's field of c. An empty text stands for the
// default. The error says why the text is not good; Takes says what is.
func (s *Setting) set(c *Config, text string) error {
	if text == "" {
		text = s.Default
	}
	switch field := s.field(c).(type) {
	case *string:
		if err := s.checkText(text); err != nil {
			return err
		}
		*field = text
	case *int:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return errors.New("not a whole number")
		}
		*field = int(n)
		return s.checkRange(n)
	case *int64:
		n, err := ParseSize(text)
		if err != nil {
			return err
		}
		*field = n
		return s.checkRange(n)
	case *Memory:
		m, err := ParseMemory(text)
		if err != nil {
			return err
		}
		*field = m
		if m.Percent == 0 && m.Bytes != 0 {
			return s.checkRange(m.Bytes)
		}
	case *time.Duration:
		d, err := ParseTime(text)
		if err != nil {
			return err
		}
		*field = d
		return s.checkRange(d.Milliseconds())
	}
	return nil
}

// engineName is what kvstore.h allows as the name of an engine.
var engineName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// checkText says what is wrong with a text of the setting's kind.
func (s *Setting) checkText(text string) error {
	switch {
	case text == "" && s.Default == "":
		return nil
	case s.Kind == KindEvents && strings.Trim(text, eventLetters) != "":
		return errors.New("there is no such class of events")
	case s.Kind == KindEvents:
		return nil
	case s.Kind == KindChoice && !slices.Contains(s.Choices, text):
		return errors.New("no such choice")
	case s.Kind == KindEngine && engineName.MatchString(text):
		return nil
	case s.Kind == KindChoice || filepath.IsAbs(text):
		return nil
	case s.Kind == KindEngine:
		return errors.New("neither a name nor an absolute path")
	default:
		return errors.New("not an absolute path")
	}
}

// checkRange says whether n lies within the setting's bounds.
func (s *Setting) checkRange(n int64) error {
	if n < s.Min {
		return errors.New("too small")
	}
	if n > s.Max {
		return errors.New("too large")
	}
	return nil
}
