package script

import (
	"crypto/sha1"
	"encoding/hex"
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"kvstored/pkg/resp"
)

// redisVersion is the version whose behaviour scripts meet.
const redisVersion, redisVersionNumber = "7.2.0", 0x00070200

// redisLibrary is the table "redis".
func (v *VM) redisLibrary() *lua.LTable {
	t := v.state.NewTable()
	for name, fn := range map[string]lua.LGFunction{
		"call":               func(L *lua.LState) int { return v.call(L, true) },
		"pcall":              func(L *lua.LState) int { return v.call(L, false) },
		"error_reply":        v.errorReply,
		"status_reply":       v.statusReply,
		"sha1hex":            v.sha1hex,
		"log":                v.log,
		"setresp":            v.setresp,
		"replicate_commands": func(L *lua.LState) int { L.Push(lua.LTrue); return 1 },
		"set_repl":           v.setRepl,
		"breakpoint":         func(L *lua.LState) int { L.Push(lua.LFalse); return 1 },
		"debug":              func(*lua.LState) int { return 0 },
		"acl_check_cmd":      v.aclCheck,
	} {
		t.RawSetString(name, v.state.NewFunction(fn))
	}
	for name, n := range map[string]int{
		"LOG_DEBUG": 0, "LOG_VERBOSE": 1, "LOG_NOTICE": 2, "LOG_WARNING": 3,
		"REPL_NONE": 0, "REPL_AOF": 1, "REPL_SLAVE": 2, "REPL_REPLICA": 2, "REPL_ALL": 3,
		"REDIS_VERSION_NUM": redisVersionNumber,
	} {
		t.RawSetString(name, lua.LNumber(n))
	}
	t.RawSetString("REDIS_VERSION", lua.LString(redisVersion))
	return t
}

// fault makes the error table of a text: "-CODE text", or a text without code.
func (v *VM) fault(text string) *lua.LTable {
	code, text := "ERR", untilZero(text)
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		text = rest
		if first, after, found := strings.Cut(rest, " "); found {
			code, text = first, after
		}
	}
	return v.field("err", lua.LString(code+" "+strings.Trim(text, "\r\n")))
}

// raise ends the function with an error table.
func (v *VM) raise(L *lua.LState, text string) int {
	L.Error(v.fault(text), 1)
	return 0
}

// call is redis.call and redis.pcall.
func (v *VM) call(L *lua.LState, raise bool) int {
	result := v.carryOut(L)
	if t, ok := result.(*lua.LTable); ok && raise && t.RawGetString("err") != lua.LNil {
		L.Error(t, 1)
	}
	L.Push(result)
	return 1
}

// carryOut asks the host for a command and turns its reply into Lua.
func (v *VM) carryOut(L *lua.LState) lua.LValue {
	if problem := v.readArguments(L); problem != nil {
		return problem
	}
	reply, refusal := v.run.Host.Call(v.args, v.proto, v.run.ReadOnly)
	if refusal != "" {
		return answered(v.fault("-" + refusal))
	}
	value, _ := v.value(L, reply)
	return value
}

// readArguments reads the arguments of a builtin as those of a command.
func (v *VM) readArguments(L *lua.LState) (problem lua.LValue) {
	n := L.GetTop()
	if n == 0 {
		return v.fault("Please specify at least one argument for this redis lib call")
	}
	size := 0
	for i := 1; i <= n; i++ {
		if a, ok := L.Get(i).(lua.LString); ok {
			size += len(a)
		}
	}
	v.spend(L, size)
	v.args = v.args[:0]
	for i := 1; i <= n; i++ {
		switch a := L.Get(i).(type) {
		case lua.LString:
			v.args = append(v.args, []byte(a))
		case lua.LNumber:
			v.args = append(v.args, argument(float64(a)))
		default:
			return v.fault("Lua redis lib command arguments must be strings or integers")
		}
	}
	return nil
}

// argument is a number as an argument of a command.
func argument(f float64) []byte {
	switch {
	case f == 0:
		return []byte("0")
	case math.IsNaN(f) && math.Signbit(f):
		return []byte("-nan")
	}
	return resp.AppendDouble(nil, f)
}

func (v *VM) errorReply(L *lua.LState) int {
	text, ok := L.Get(1).(lua.LString)
	if L.GetTop() != 1 || !ok {
		L.Push(v.fault("wrong number or type of arguments"))
		return 1
	}
	v.spend(L, 3*len(text))
	if !strings.HasPrefix(string(text), "-") {
		text = "-" + text
	}
	L.Push(v.fault(string(text)))
	return 1
}

func (v *VM) statusReply(L *lua.LState) int {
	text, ok := L.Get(1).(lua.LString)
	if L.GetTop() != 1 || !ok {
		L.Push(v.fault("wrong number or type of arguments"))
		return 1
	}
	L.Push(v.field("ok", text))
	return 1
}

func (v *VM) sha1hex(L *lua.LState) int {
	if L.GetTop() != 1 {
		return v.raise(L, "wrong number of arguments")
	}
	if text, ok := L.Get(1).(lua.LString); ok {
		v.spend(L, len(text))
	}
	text, _ := appendText(nil, L.Get(1))
	v.ticks.work(10 * len(text))
	sum := sha1.Sum(text)
	L.Push(lua.LString(hex.EncodeToString(sum[:])))
	return 1
}

// mostLogged is how many bytes redis.log writes.
const mostLogged = 1024

func (v *VM) log(L *lua.LState) int {
	n := L.GetTop()
	if n < 2 {
		return v.raise(L, "redis.log() requires two arguments or more.")
	}
	f, ok := toNumber(L.Get(1))
	if !ok {
		return v.raise(L, "First argument must be a number (log level).")
	}
	level := int(int32(truncate(f)))
	if level < 0 || level > 3 {
		return v.raise(L, "Invalid debug level.")
	}
	var text []byte
	for i := 2; i <= n && len(text) < mostLogged; i++ {
		part := L.Get(i)
		if s, ok := part.(lua.LString); ok {
			part = s[:min(len(s), mostLogged)]
		}
		if part.Type() == lua.LTString || part.Type() == lua.LTNumber {
			if i > 2 {
				text = append(text, ' ')
			}
			text, _ = appendText(text, part)
		}
	}
	v.run.Host.Log(level, string(text[:min(len(text), mostLogged)]))
	return 0
}

// asInt is argument 1 as a number without its fraction; 0 when it is none.
func asInt(L *lua.LState) int {
	f, ok := toNumber(L.Get(1))
	if !ok {
		return 0
	}
	return int(int32(truncate(f)))
}

// setRepl: there is nobody to whom a script's writes would be sent.
func (v *VM) setRepl(L *lua.LState) int {
	if L.GetTop() != 1 {
		return v.raise(L, "redis.set_repl() requires two arguments.")
	}
	if asInt(L)&^3 != 0 {
		return v.raise(L, "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.")
	}
	return 0
}

func (v *VM) setresp(L *lua.LState) int {
	if L.GetTop() != 1 {
		return v.raise(L, "redis.setresp() requires one argument.")
	}
	n := asInt(L)
	if n != 2 && n != 3 {
		return v.raise(L, "RESP version must be 2 or 3.")
	}
	v.proto = n
	return 0
}

// aclCheck: there are no rules but the peer's user.
func (v *VM) aclCheck(L *lua.LState) int {
	if problem := v.readArguments(L); problem != nil {
		L.Error(problem, 0)
	}
	if !v.run.Host.Known(v.args) {
		return v.raise(L, "Invalid command passed to redis.acl_check_cmd()")
	}
	L.Push(lua.LTrue)
	return 1
}
