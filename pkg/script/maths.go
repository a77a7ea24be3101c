package script

import (
	"math"

	lua "github.com/yuin/gopher-lua"
)

// math: Lua's, with C's results at the edges.

func of1(op func(float64) float64) lua.LGFunction {
	return func(L *lua.LState) int {
		f := checkNumber(L, 1)
		L.Push(lua.LNumber(undefined(op(f), f)))
		return 1
	}
}

func of2(op func(a, b float64) float64) lua.LGFunction {
	return func(L *lua.LState) int {
		a := checkNumber(L, 1)
		b := checkNumber(L, 2)
		L.Push(lua.LNumber(undefined(op(a, b), a, b)))
		return 1
	}
}

var mathFunctions = map[string]lua.LGFunction{
	"abs": of1(math.Abs), "acos": of1(math.Acos), "asin": of1(math.Asin), "atan": of1(math.Atan), "atan2": of2(math.Atan2),
	"ceil": of1(math.Ceil), "cos": of1(math.Cos), "cosh": of1(math.Cosh), "exp": of1(math.Exp), "floor": of1(math.Floor),
	"fmod": of2(math.Mod), "mod": of2(math.Mod), "log": of1(math.Log), "log10": of1(math.Log10), "pow": of2(math.Pow),
	"sin": of1(math.Sin), "sinh": of1(math.Sinh), "sqrt": of1(math.Sqrt), "tan": of1(math.Tan), "tanh": of1(math.Tanh),
	"deg": of1(func(f float64) float64 { return f / (math.Pi / 180) }), "rad": of1(func(f float64) float64 { return f * (math.Pi / 180) }),
	"frexp": frexp, "ldexp": ldexp, "modf": modf,
	"max": func(L *lua.LState) int { return furthest(L, func(a, b float64) bool { return a > b }) },
	"min": func(L *lua.LState) int { return furthest(L, func(a, b float64) bool { return a < b }) },
}

func frexp(L *lua.LState) int {
	f, e := math.Frexp(checkNumber(L, 1))
	L.Push(lua.LNumber(f))
	L.Push(lua.LNumber(e))
	return 2
}

func ldexp(L *lua.LState) int {
	f := checkNumber(L, 1)
	L.Push(lua.LNumber(math.Ldexp(f, checkInt(L, 2))))
	return 1
}

func modf(L *lua.LState) int {
	f := checkNumber(L, 1)
	whole, fraction := math.Trunc(f), 0.0
	if !math.IsInf(f, 0) {
		fraction = f - whole
	}
	L.Push(lua.LNumber(whole))
	L.Push(lua.LNumber(math.Copysign(fraction, f)))
	return 2
}

// furthest is max or min.
func furthest(L *lua.LState, beyond func(a, b float64) bool) int {
	best := checkNumber(L, 1)
	for i := 2; i <= L.GetTop(); i++ {
		if f := checkNumber(L, i); beyond(f, best) {
			best = f
		}
	}
	L.Push(lua.LNumber(best))
	return 1
}

// mathRandom is math.random of lrand48, the same row in every daemon.
func (v *VM) mathRandom(L *lua.LState) int {
	r := v.nextRandom()
	switch L.GetTop() {
	case 0:
		L.Push(lua.LNumber(r))
	case 1:
		to := checkInt(L, 1)
		if to < 1 {
			argError(L, 1, "interval is empty")
		}
		L.Push(lua.LNumber(math.Floor(r*float64(to)) + 1))
	case 2:
		from := checkInt(L, 1)
		to := checkInt(L, 2)
		if from > to {
			argError(L, 2, "interval is empty")
		}
		L.Push(lua.LNumber(math.Floor(r*float64(to-from+1)) + float64(from)))
	default:
		raise(L, "wrong number of arguments")
	}
	return 1
}

func (v *VM) mathRandomseed(L *lua.LState) int {
	v.random = uint64(uint32(checkInt(L, 1)))<<16 + seedOfRandom
	return 0
}
