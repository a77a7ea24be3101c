package resp

import (
	"math"
	"strconv"
	"testing"
)

// What Redis 7.2.6 answers to EVAL "return {double=X}" in RESP3.
func TestAppendDouble(t *testing.T) {
	for f, want := range map[float64]string{
		0.1: "0.1", 1.0 / 3: "0.3333333333333333", math.Copysign(0, -1): "-0", 1e300: "1e+300", 0.000012345: "1.2345e-5",
		0.00001: "0.00001", 1e-7: "1e-7", 123456.789e10: "1234567890000000", 1e17: "100000000000000000", 5e-324: "5e-324",
		math.Inf(1): "inf", math.Inf(-1): "-inf", 100: "100", -3.5: "-3.5", 1e20: "1e+20", 1e15 + 0.5: "1000000000000000.5",
		-1e22: "-1e+22", 123456789012345680: "123456789012345680",
	} {
		if got := string(AppendDouble(nil, f)); got != want {
			t.Errorf("%g is %s, want %s", f, got, want)
		}
	}
	if got := string(AppendDouble([]byte("x"), math.NaN())); got != "xnan" {
		t.Errorf("not a number is %s", got)
	}
	for bits := uint64(1); bits < 1<<63; bits += 1<<52/3*7 + 12345 {
		f := math.Float64frombits(bits)
		text := string(AppendDouble(nil, f))
		if back, err := strconv.ParseFloat(text, 64); !math.IsNaN(f) && (err != nil || back != f) {
			t.Fatalf("%x is written %s, which reads %g (%v)", bits, text, back, err)
		}
	}
}
