package suppress

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"carom/pipeline/event"
)

// fill sets what it can reach of a value, some of it to nothing.
func fill(v reflect.Value, r *rand.Rand) {
	if _, ok := v.Addr().Interface().(*json.RawMessage); ok {
		v.SetBytes([]byte(`{"changed":1}`))
		return
	}
	if _, ok := v.Addr().Interface().(*event.ID); ok {
		v.Set(reflect.ValueOf(event.ID{byte(r.Uint32()), 2: byte(r.Uint32())}))
		return
	}
	if _, ok := v.Addr().Interface().(*stamp); ok {
		v.SetInt(1 + r.Int64N(int64(t0)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && (r.IntN(4) > 0 || strings.Contains("Order Hits", v.Type().Field(i).Name)) {
				fill(f, r)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), r)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+r.IntN(2), 3))
		for i := range v.Len() {
			fill(v.Index(i), r)
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]int64{"b": 2, "a\"": -1}))
	case reflect.String:
		v.SetString([]string{"a", "é\n", `"\`, "x y\u2028"}[r.IntN(4)])
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint32:
		v.SetUint(uint64(r.Uint32()))
	case reflect.Int32, reflect.Int:
		v.SetInt(int64(r.Int32()))
	case reflect.Int64:
		v.SetInt(r.Int64N(1<<40) - 1<<39)
	default:
		panic(v.Type().String())
	}
}

// What is written and read by hand is what the types' tags say: whoever adds a field adds it there.
func TestCodecIsThatOfTheTags(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, of := range []any{wireSuppression{}, wireDecision{}, wireOrder{}, entry{}, wireCause{}, wirePlace{}} {
		for range 200 {
			v := reflect.New(reflect.TypeOf(of))
			fill(v.Elem(), r)
			want, err := json.Marshal(v.Interface())
			if err != nil {
				t.Fatal(err)
			}
			if got := encode(v.Interface()); string(got) != string(want) {
				t.Fatalf("%T:\n%s, want\n%s", of, got, want)
			}
			for _, src := range [][]byte{want, []byte(`{"unknown":[{}],` + string(want[1:]))} {
				back, std := reflect.New(v.Elem().Type()), reflect.New(v.Elem().Type())
				if err := decode(src, back.Interface()); err != nil {
					t.Fatalf("%T: %v: %s", of, err, src)
				}
				if err := json.Unmarshal(src, std.Interface()); err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(back.Interface(), std.Interface()) {
					t.Fatalf("%T:\n%+v, want\n%+v", of, back.Elem(), std.Elem())
				}
			}
			for _, bad := range [][]byte{want[:len(want)-1], append(want, '}'), nil, []byte(`[]`)} {
				if decode(bad, reflect.New(v.Elem().Type()).Interface()) == nil {
					t.Fatalf("%T: no error: %s", of, bad)
				}
			}
		}
	}
}
