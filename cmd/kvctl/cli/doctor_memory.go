package cli

import (
	"fmt"
	"strconv"
	"strings"

	"kvstored/pkg/client"
	"kvstored/pkg/install"
)

// checkMemory compares what is used with the limit.
func (p *patient) checkMemory() {
	limit, used := p.info.number("maxmemory"), p.info.number("used_memory")
	what := fmt.Sprintf("%s of %s are used (%s)", size(int64(used)), size(int64(limit)), p.info["maxmemory_policy"])
	most := p.unitMemory()
	switch {
	case limit > 0 && used > 0.9*limit && p.info["maxmemory_policy"] == "noeviction":
		p.found("memory", statusWarning, what, "at the limit writes are refused", "kvctl keys    # what is big; or a higher MaxMemory=, or a MaxMemoryPolicy=, in kvstored.conf")
	case limit > 0:
		p.found("memory", statusOK, what, "", "")
	case most > 0:
		p.found("memory", statusWarning, fmt.Sprintf("%s are used; MemoryMax= of %s is %s, and no MaxMemory= is set", size(int64(used)), p.unit("service"), size(most)),
			"the kernel ends the daemon when it reaches that; below a MaxMemory= writes are refused or keys go before", p.limitMemory())
	default:
		p.found("memory", statusOK, size(int64(used))+" are used; no limit is set", "", "")
	}
}

// unitMemory is MemoryMax= of the unit, 0 without one.
func (p *patient) unitMemory() int64 {
	_, s, ok := client.UnitState(p.path, "service")
	n, err := strconv.ParseInt(s["MemoryMax"], 10, 64)
	if !ok || err != nil { // "infinity"
		return 0
	}
	return n
}

// limitMemory sets a limit for the data.
func (p *patient) limitMemory() string {
	service := p.unit("service")
	file := mainConfig
	if _, instance, ok := strings.Cut(strings.TrimSuffix(service, ".service"), "@"); ok {
		file = "/etc/kvstored/" + instance + ".conf"
	}
	return "echo MaxMemory=60% | " + install.Sudo("install -D -m 644 /dev/stdin "+file+".d/memory.conf") + "\n" + client.Systemctl(p.path, "reload "+service)
}
