package command

import "testing"

func TestFromRedisBytes(t *testing.T) {
	for text, want := range map[string]string{
		"100": "100", "1kb": "1024", "2MB": "2097152", "3k": "3000", "1gb": "1073741824", "7b": "7", "64M": "64M",
		"60%": "60%", "x": "x", "-1mb": "-1mb", "99999999999gb": "99999999999gb", "": "", "mb": "mb",
	} {
		if got := fromRedisBytes(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
