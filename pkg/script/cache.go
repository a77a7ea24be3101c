package script

import (
	"container/list"
	"slices"

	lua "github.com/yuin/gopher-lua"
)

// The scripts that are known by their SHA-1. Those that came with SCRIPT LOAD
// stay until SCRIPT FLUSH. Clients that write arguments into their scripts send
// thousands with EVAL: of these so many are kept as a number and their size
// allow, and what was not used for the longest time goes first.

// Limits of the scripts that came with EVAL. The number is that of Redis 7.4.
const (
	keptEvals = 500
	keptBytes = 64 << 20
)

// cache is the scripts.
type cache struct {
	byName map[string]*Script
	evals  *list.List // of *Script that may go, the first one first
	size   int        // of all
	loose  int        // of those that may go
	room   int        // for them
}

func newCache() cache {
	return cache{byName: map[string]*Script{}, evals: list.New(), room: keptBytes}
}

// Find is a script by its name in lower case, nil when it is not known.
func (v *VM) Find(sha string) *Script { return v.scripts.byName[sha] }

// Use is Find for one that is to run.
func (v *VM) Use(sha string) *Script {
	s := v.scripts.byName[sha]
	if s != nil && s.loose != nil {
		v.scripts.evals.MoveToBack(s.loose)
	}
	return s
}

// Count is how many scripts there are, Size how many bytes they take about.
func (v *VM) Count() int { return len(v.scripts.byName) }

// Size is how many bytes the scripts take about.
func (v *VM) Size() int { return v.scripts.size }

// Load compiles a script and keeps it until there is another VM. The error is
// what Redis answers.
func (v *VM) Load(body []byte) (*Script, error) {
	s, err := v.known(body)
	if err == nil {
		v.scripts.keep(s)
	}
	return s, err
}

// Eval compiles a script that came with EVAL.
func (v *VM) Eval(body []byte) (*Script, error) {
	s, err := v.known(body)
	if err == nil && s.loose == nil && !s.kept {
		v.scripts.add(s)
	}
	return s, err
}

// known is a script by its text.
func (v *VM) known(body []byte) (*Script, error) {
	if s := v.Use(SHA(body)); s != nil {
		return s, nil
	}
	s, err := v.compile(body)
	if err == nil {
		s.size = footprint(len(body), s)
		v.scripts.byName[s.SHA] = s
		v.scripts.size += s.size
	}
	return s, err
}

// keep has a script stay.
func (c *cache) keep(s *Script) {
	if s.loose != nil {
		c.evals.Remove(s.loose)
		s.loose = nil
		c.loose -= s.size
	}
	s.kept = true
}

// add has a script go when its time has come. The newest one stays, however
// large it is: its client may ask for it by name at once.
func (c *cache) add(s *Script) {
	s.loose = c.evals.PushBack(s)
	c.loose += s.size
	for c.evals.Len() > keptEvals || c.loose > c.room && c.evals.Len() > 1 {
		first := c.evals.Remove(c.evals.Front()).(*Script)
		first.loose = nil
		c.loose -= first.size
		c.size -= first.size
		delete(c.byName, first.SHA)
	}
}

// footprint is how many bytes a script takes about, whose text had n.
func footprint(n int, s *Script) int {
	const itself = 512 // the script, its names and its places in lists
	size := itself + n // the texts in it are parts of the text
	for _, one := range s.scopes {
		size += 64 + 32*len(one)
	}
	return size + protoSize(s.fn.Proto)
}

// trim gives back the room that the compiler took ahead: 17 KiB for the shortest script.
func trim(p *lua.FunctionProto) {
	p.Code, p.DbgSourcePositions = slices.Clone(p.Code), slices.Clone(p.DbgSourcePositions)
	p.Constants, p.DbgLocals = slices.Clone(p.Constants), slices.Clone(p.DbgLocals)
	p.DbgCalls, p.DbgUpvalues = slices.Clone(p.DbgCalls), slices.Clone(p.DbgUpvalues)
	for _, inner := range p.FunctionPrototypes {
		trim(inner)
	}
}

// protoSize is how many bytes a compiled function takes, with those in it.
func protoSize(p *lua.FunctionProto) int {
	size := 256 + 4*cap(p.Code) + 8*cap(p.DbgSourcePositions) + 48*cap(p.Constants) + 56*cap(p.DbgLocals) +
		32*cap(p.DbgCalls) + 16*cap(p.DbgUpvalues)
	for _, inner := range p.FunctionPrototypes {
		size += protoSize(inner)
	}
	return size
}
