package engine

import (
	"reflect"
	"testing"
)

func TestParseYAML(t *testing.T) {
	got, err := ParseYAML(`# a comment
token: "K10ab::server:c#d"   # another
cluster-init: true
tls-san:
  - 10.0.0.1
  - "a.b"
list: [one, 2]
spec:
  api: {"sans": ["x"]}
  items:
  - name: a
    port: 1
  - name: b
empty:
`)
	want := map[string]any{
		"token":        "K10ab::server:c#d",
		"cluster-init": true,
		"tls-san":      []any{"10.0.0.1", "a.b"},
		"list":         []any{"one", int64(2)},
		"spec": map[string]any{
			"api":   map[string]any{"sans": []any{"x"}},
			"items": []any{map[string]any{"name": "a", "port": int64(1)}, map[string]any{"name": "b"}},
		},
		"empty": nil,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v\n got %#v\nwant %#v", err, got, want)
	}
	for _, wrong := range []string{"a: 1\na: 2", "a: |\n  x", "a: \"x", "a: 1\n   b: 2", "\ta: 1"} {
		if value, err := ParseYAML(wrong); err == nil {
			t.Errorf("%q: %#v", wrong, value)
		}
	}
}
