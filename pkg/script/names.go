package script

import lua "github.com/yuin/gopher-lua"

// Names for error messages: "attempt to index local 'x' (a nil value)" says
// where the value came from. The code before the instruction that failed tells.

// The parts of an instruction, as the interpreter packs them.
func opOf(inst uint32) int { return int(inst >> 26) }
func argA(inst uint32) int { return int(inst>>18) & 0xff }
func argB(inst uint32) int { return int(inst & 0x1ff) }
func argC(inst uint32) int { return int(inst>>9) & 0x1ff }
func argX(inst uint32) int { return int(inst & 0x3ffff) }
func jump(inst uint32) int { return argX(inst) - 0x1ffff }

// constantBit marks an operand that is a constant.
const constantBit = 1 << 8

// calleeName is how the builtin that runs was called: the kind of name and the
// name, "?" when there is none.
func calleeName(L *lua.LState) (kind, name string) {
	if p, ok := placeOf(L, 1); ok && !p.fn.IsG {
		switch inst := p.fn.Proto.Code[p.pc]; opOf(inst) {
		case lua.OP_CALL, lua.OP_TAILCALL, lua.OP_TFORLOOP:
			if kind, name = p.name(L, p.pc, argA(inst)); kind != "" {
				return kind, name
			}
		}
	}
	return "", "?"
}

// name is where the value in a register came from before instruction pc.
func (p place) name(L *lua.LState, pc, reg int) (kind, name string) {
	if name := p.local(L, pc, reg); name != "" {
		return "local", name
	}
	proto := p.fn.Proto
	set := p.setter(pc, reg)
	if set < 0 {
		return "", ""
	}
	switch inst := proto.Code[set]; opOf(inst) {
	case lua.OP_MOVE, lua.OP_MOVEN:
		if argB(inst) < argA(inst) {
			return p.name(L, set, argB(inst))
		}
	case lua.OP_GETGLOBAL:
		return "global", proto.Constants[argX(inst)].String()
	case lua.OP_GETTABLE, lua.OP_GETTABLEKS:
		return "field", p.constant(argC(inst))
	case lua.OP_SELF:
		return "method", p.constant(argC(inst))
	case lua.OP_GETUPVAL:
		if b := argB(inst); b < len(proto.DbgUpvalues) {
			return "upvalue", proto.DbgUpvalues[b]
		}
		return "upvalue", "?"
	}
	return "", ""
}

func (p place) constant(operand int) string {
	if operand&constantBit != 0 {
		if s, ok := p.fn.Proto.Constants[operand&^constantBit].(lua.LString); ok {
			return string(s)
		}
	}
	return "?"
}

// setter is the instruction before last that set a register, -1: none.
func (p place) setter(last, reg int) int {
	code, set := p.fn.Proto.Code, -1
	for pc := 0; pc < last; pc++ {
		inst := code[pc]
		a, writes := argA(inst), false
		switch opOf(inst) {
		case lua.OP_SETGLOBAL, lua.OP_SETUPVAL, lua.OP_SETTABLE, lua.OP_SETTABLEKS, lua.OP_EQ, lua.OP_LT, lua.OP_LE,
			lua.OP_TEST, lua.OP_RETURN, lua.OP_SETLIST, lua.OP_CLOSE, lua.OP_NOP:
		case lua.OP_JMP, lua.OP_FORPREP, lua.OP_FORLOOP:
			writes = opOf(inst) != lua.OP_JMP && reg >= a && reg <= a+3
			if to := pc + 1 + jump(inst); to > pc+1 && to <= last {
				pc = to - 1
			}
		case lua.OP_LOADNIL:
			writes = reg >= a && reg <= argB(inst)
		case lua.OP_SELF:
			writes = reg == a || reg == a+1
		case lua.OP_CALL, lua.OP_TAILCALL, lua.OP_VARARG:
			writes = reg >= a
		case lua.OP_TFORLOOP:
			writes = reg >= a+2
		default:
			writes = reg == a
		}
		if writes {
			set = pc
		}
	}
	return set
}
