package script

import (
	"reflect"
	"runtime"
	"strings"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// What one instruction takes. There are a thousand of them between two looks
// at the memory, so those that can take much are carried out by way of the
// functions below. They count it, and end the script, before it is taken.

// instruction carries out one; frame is the interpreter's own.
type instruction func(L *lua.LState, inst uint32, frame unsafe.Pointer) int

// instructions is the interpreter's table of them.
//
//go:linkname instructions github.com/yuin/gopher-lua.jumpTable
var instructions [lua.OP_NOP + 1]instruction

// The interpreter's own ones that stand behind ours.
var theirGetTable, theirSetTable, theirSetList, theirVararg instruction

var ourGetTable, ourSetTable, ourSetList, ourVararg instruction = getTable, setTable, setList, vararg

func init() {
	for op, replaced := range map[int]struct{ their, our *instruction }{
		lua.OP_GETTABLE: {&theirGetTable, &ourGetTable},
		lua.OP_SETTABLE: {&theirSetTable, &ourSetTable},
		lua.OP_SETLIST:  {&theirSetList, &ourSetList},
		lua.OP_VARARG:   {&theirVararg, &ourVararg},
	} {
		fn := runtime.FuncForPC(reflect.ValueOf(instructions[op]).Pointer())
		if fn == nil || !strings.HasPrefix(fn.Name(), "github.com/yuin/gopher-lua.") {
			panic("the interpreter has changed: its table of instructions is not where it was")
		}
		*replaced.their = instructions[op]
		instructions[op] = *replaced.our
	}
}

// operandOf is a register or a constant.
func operandOf(L *lua.LState, operand int) lua.LValue {
	if operand&constantBit != 0 {
		return running(L).Proto.Constants[operand&^constantBit]
	}
	return L.Get(operand + 1)
}

// getTable is R(A) = object[key].
func getTable(L *lua.LState, inst uint32, frame unsafe.Pointer) int {
	if value := found(L.Get(argB(inst)+1), operandOf(L, argC(inst))); value != lua.LNil {
		if a := argA(inst); a < L.GetTop() {
			L.Replace(a+1, value)
		} else {
			L.SetTop(a)
			L.Push(value)
		}
		return 0
	}
	return theirGetTable(L, inst, frame)
}

// setTable is object[key] = value.
func setTable(L *lua.LState, inst uint32, frame unsafe.Pointer) int {
	if i, far := farIndex(operandOf(L, argB(inst))); far {
		if t := target(L.Get(argA(inst)+1), i); t != nil {
			tickerOf(L).vm.storeAt(L, t, i, operandOf(L, argC(inst)))
			return 0
		}
	}
	return theirSetTable(L, inst, frame)
}

// setList stores what stands in the braces of a table, up to fifty values or
// all that a call or "..." gave.
func setList(L *lua.LState, inst uint32, frame unsafe.Pointer) int {
	v := tickerOf(L).vm
	if argB(inst) == 0 {
		v.spend(L, 2*slotSize*(L.GetTop()-argA(inst)-1))
	}
	t := L.Get(argA(inst) + 1).(*lua.LTable)
	had := len(*arrayOf(t))
	result := theirSetList(L, inst, frame)
	v.gather(L, t, had, true)
	return result
}

// vararg puts the values of "..." on the stack, which takes them twice when
// they are arguments of a function that has "..." itself.
func vararg(L *lua.LState, inst uint32, frame unsafe.Pointer) int {
	result := theirVararg(L, inst, frame)
	if argB(inst) == 0 {
		tickerOf(L).vm.spend(L, 2*slotSize*(L.GetTop()-argA(inst)))
	}
	return result
}

// slotSize is how many bytes a place in an array or on a stack takes.
const slotSize = int(unsafe.Sizeof(lua.LNil))

// tickerOf is the clock of the interpreter that a thread belongs to.
func tickerOf(L *lua.LState) *ticker { return L.Context().(*ticker) }

// extend is a text that a builtin makes with room for n bytes more. They are
// counted before they are taken.
func (v *VM) extend(L *lua.LState, b []byte, n int) []byte {
	if len(b)+n <= cap(b) {
		return b
	}
	return v.wider(L, b, len(b)+n)
}

func (v *VM) wider(L *lua.LState, b []byte, n int) []byte {
	const least, slow = 64, 64 << 10 // from there on the slack is a fourth
	v.room(L, n)
	size := max(n, least, 2*cap(b))
	if size > slow {
		size = max(n, min(cap(b)+cap(b)/4, maxString))
	}
	v.spend(L, size)
	return append(make([]byte, 0, size), b...)
}

// made is a finished text, which is not changed any more. It keeps its room
// where there is little left.
func (v *VM) made(L *lua.LState, b []byte) lua.LString {
	if cap(b)-len(b) > len(b)/4 {
		v.spend(L, len(b))
		return lua.LString(b)
	}
	return lua.LString(unsafe.String(unsafe.SliceData(b), len(b)))
}
