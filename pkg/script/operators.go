package script

import (
	"math"

	lua "github.com/yuin/gopher-lua"
)

// Operators on values that have none. The interpreter looks for a metamethod
// before it gives up: those below are on every kind of value but tables. They
// read texts as numbers, as Lua does, and else complain with the name of what
// was wrong.

// arithmetic is the operators of numbers by the names of their metamethods.
var arithmetic = map[string]func(a, b float64) float64{
	"__add": func(a, b float64) float64 { return a + b },
	"__sub": func(a, b float64) float64 { return a - b },
	"__mul": func(a, b float64) float64 { return a * b },
	"__div": func(a, b float64) float64 { return a / b },
	"__mod": modulo,
	"__pow": power,
}

// modulo is Lua's way to it: where a/b is not exact, as for 1 % 0.1, its result
// is not that of others.
func modulo(a, b float64) float64 { return a - math.Floor(a/b)*b }

func power(a, b float64) float64 { return undefined(math.Pow(a, b), a, b) }

// undefined is the result of an operation, with the sign that C's have on this
// kind of machine where there is none.
func undefined(f float64, of ...float64) float64 {
	if f == f {
		return f
	}
	for _, a := range of {
		if a != a {
			return f
		}
	}
	return math.Copysign(f, -1)
}

// remainder is the operator %.
func (v *VM) remainder(L *lua.LState) int { return v.instead(L, "__mod", modulo) }

// power is the operator ^.
func (v *VM) power(L *lua.LState) int { return v.instead(L, "__pow", power) }

// instead is an operator that was made a call.
func (v *VM) instead(L *lua.LState, name string, op func(a, b float64) float64) int {
	a, isNumber := L.Get(1).(lua.LNumber)
	if b, both := L.Get(2).(lua.LNumber); isNumber && both {
		L.Push(lua.LNumber(op(float64(a), float64(b))))
		return 1
	}
	return v.calculated(L, name, op)
}

// operators gives every kind of value but tables its metamethods.
func (v *VM) operators(texts *lua.LTable) {
	L := v.state
	shared := map[string]lua.LGFunction{
		"__index": indexed, "__newindex": indexed, "__call": called, "__unm": v.negated, "__lt": compared, "__le": compared, "__len": measured,
	}
	for name, op := range arithmetic {
		shared[name] = func(L *lua.LState) int { return v.calculated(L, name, op) }
	}
	meta, ofTexts := L.NewTable(), L.NewTable()
	v.functions(meta, shared)
	meta.ForEach(func(name, fn lua.LValue) { ofTexts.RawSet(name, fn) })
	ofTexts.RawSetString("__index", texts)
	ofTexts.RawSetString("__lt", lua.LNil)
	ofTexts.RawSetString("__le", lua.LNil)
	thread, _ := L.NewThread()
	for _, one := range []lua.LValue{lua.LNil, lua.LTrue, lua.LNumber(0), L.NewFunction(indexed), thread} {
		L.SetMetatable(one, meta)
	}
	L.SetMetatable(lua.LString(""), ofTexts)
	v.null.Metatable = meta
}

// wrong raises the error of an operator: what was attempted with an operand
// of the instruction at which the function that called us is.
func wrong(L *lua.LState, attempted string, operand func(inst uint32) int, value lua.LValue) {
	L.Error(lua.LString(where(L, 1)+complaint(L, attempted, operand, value.Type().String())), 0)
}

func complaint(L *lua.LState, attempted string, operand func(inst uint32) int, kindOfValue string) string {
	if p, ok := placeOf(L, 1); ok && !p.fn.IsG && operand != nil {
		if reg := operand(p.fn.Proto.Code[p.pc]); reg >= 0 && reg&constantBit == 0 {
			if kind, name := p.name(L, p.pc, reg); kind != "" {
				return "attempt to " + attempted + " " + kind + " '" + name + "' (a " + kindOfValue + " value)"
			}
		}
	}
	return "attempt to " + attempted + " a " + kindOfValue + " value"
}

// object is the register of what is indexed.
func object(inst uint32) int {
	switch opOf(inst) {
	case lua.OP_GETTABLE, lua.OP_GETTABLEKS, lua.OP_SELF:
		return argB(inst)
	case lua.OP_SETTABLE, lua.OP_SETTABLEKS:
		return argA(inst)
	}
	return -1
}

func indexed(L *lua.LState) int {
	wrong(L, "index", object, L.Get(1))
	return 0
}

func called(L *lua.LState) int {
	L.Error(lua.LString(where(L, 1)+notCallable(L, L.Get(1).Type().String())), 0)
	return 0
}

// notCallable is the message of a call of what is no function.
func notCallable(L *lua.LState, kind string) string {
	return complaint(L, "call", func(inst uint32) int {
		switch opOf(inst) {
		case lua.OP_CALL, lua.OP_TAILCALL:
			return argA(inst)
		}
		return -1
	}, kind)
}

func compared(L *lua.LState) int {
	L.Error(lua.LString(where(L, 1)+uncomparable(L.Get(1), L.Get(2))), 0)
	return 0
}

// uncomparable is the message of a comparison of what has no order.
func uncomparable(a, b lua.LValue) string {
	if a.Type() == b.Type() {
		return "attempt to compare two " + a.Type().String() + " values"
	}
	return "attempt to compare " + a.Type().String() + " with " + b.Type().String()
}

func measured(L *lua.LState) int {
	wrong(L, "get length of", argB, L.Get(1))
	return 0
}

// theirs is a value's own metamethod, nil when it is one of ours.
func (v *VM) theirs(L *lua.LState, value lua.LValue, name string) lua.LValue {
	switch value.(type) {
	case *lua.LTable:
		return L.GetMetaField(value, name)
	}
	return lua.LNil
}

// calculated is an operator of two values that are not both numbers.
func (v *VM) calculated(L *lua.LState, name string, op func(a, b float64) float64) int {
	left, right := L.Get(1), L.Get(2)
	a, isNumber := toNumber(left)
	b, both := toNumber(right)
	if isNumber && both {
		L.Push(lua.LNumber(op(a, b)))
		return 1
	}
	for _, value := range []lua.LValue{left, right} {
		if fn := v.theirs(L, value, name); fn != lua.LNil {
			L.Push(fn)
			L.Push(left)
			L.Push(right)
			L.Call(2, 1)
			return 1
		}
	}
	if isNumber {
		wrong(L, "perform arithmetic on", operand(argC, 2), right)
	}
	wrong(L, "perform arithmetic on", operand(argB, 1), left)
	return 0
}

// operand is the register of an operand: part tells it, or it is an argument
// where the operator was made a call.
func operand(part func(uint32) int, argument int) func(uint32) int {
	return func(inst uint32) int {
		if op := opOf(inst); op == lua.OP_CALL || op == lua.OP_TAILCALL {
			return argA(inst) + argument
		}
		return part(inst)
	}
}

func (v *VM) negated(L *lua.LState) int {
	f, ok := toNumber(L.Get(1))
	if !ok {
		wrong(L, "perform arithmetic on", argB, L.Get(1))
	}
	L.Push(lua.LNumber(-f))
	return 1
}

// less is a < b for builtins: their errors have no position.
func less(L *lua.LState, a, b lua.LValue) bool {
	switch x := a.(type) {
	case lua.LNumber:
		if y, ok := b.(lua.LNumber); ok {
			return x < y
		}
	case lua.LString:
		if y, ok := b.(lua.LString); ok {
			return x < y
		}
	case *lua.LTable:
		fn := L.GetMetaField(a, "__lt")
		if _, ok := b.(*lua.LTable); ok && fn != lua.LNil && fn == L.GetMetaField(b, "__lt") {
			L.Push(fn)
			L.Push(a)
			L.Push(b)
			L.Call(2, 1)
			result := L.Get(-1)
			L.Pop(1)
			return lua.LVAsBool(result)
		}
	}
	L.Error(lua.LString(uncomparable(a, b)), 0)
	return false
}
