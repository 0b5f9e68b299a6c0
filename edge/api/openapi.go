package api

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var openapiYAML []byte

// published is what is made of openapi.yaml, once a process: it never changes.
type published struct {
	root any // object, []any, string, json.Number, bool or nil
	json []byte
	page []byte
}

// object is a JSON object in the order in which it was written.
type object []member

type member struct {
	name  string
	value any
}

func (o object) get(name string) any {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// anchorsMember holds what YAML repeats; by then it stands where it belongs.
const anchorsMember = "x-anchors"

var publishedOnce = sync.OnceValue(func() *published {
	var doc yaml.Node
	if err := yaml.Unmarshal(openapiYAML, &doc); err != nil {
		panic("BUG: openapi.yaml: " + err.Error())
	}
	root, _ := fromYAML(doc.Content[0]).(object)
	for i, m := range root {
		if m.name == anchorsMember {
			root = append(root[:i:i], root[i+1:]...)
			break
		}
	}
	p := &published{root: root, json: append(appendOrdered(nil, root), '\n')}
	p.page = docsPage(root)
	return p
})

// fromYAML takes a node with what its aliases and merges stand for. Members that are merged in come last.
func fromYAML(n *yaml.Node) any {
	switch n.Kind {
	case yaml.AliasNode:
		return fromYAML(n.Alias)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			list[i] = fromYAML(c)
		}
		return list
	case yaml.MappingNode:
		var own, merged object
		for i := 0; i+1 < len(n.Content); i += 2 {
			value := fromYAML(n.Content[i+1])
			if n.Content[i].Tag == "!!merge" {
				merged, _ = value.(object)
				continue
			}
			own = append(own, member{n.Content[i].Value, value})
		}
		for _, m := range merged {
			if own.get(m.name) == nil {
				own = append(own, m)
			}
		}
		return own
	}
	switch n.Tag {
	case "!!int", "!!float":
		return json.Number(n.Value)
	case "!!bool":
		return n.Value == "true"
	case "!!null":
		return nil
	}
	return n.Value
}

// appendOrdered appends a value as JSON, its objects in their order.
func appendOrdered(dst []byte, v any) []byte {
	switch v := v.(type) {
	case object:
		dst = append(dst, '{')
		for i, m := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendPlain(dst, m.name), ':')
			dst = appendOrdered(dst, m.value)
		}
		return append(dst, '}')
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendOrdered(dst, e)
		}
		return append(dst, ']')
	}
	return appendPlain(dst, v)
}

func appendPlain(dst []byte, v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("BUG: openapi.yaml holds what JSON can't: %v", err))
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// getOpenAPI answers the contract of the API, for machines.
func getOpenAPI(w http.ResponseWriter, r *http.Request) *problem {
	if p := readParams(r).problem; p != nil {
		return p
	}
	w.Header().Set("Content-Type", jsonType)
	_, _ = w.Write(publishedOnce().json) // who is gone needs no answer
	return nil
}

// getDocs answers the same for people: one page that loads nothing else and runs nothing.
func getDocs(w http.ResponseWriter, r *http.Request) *problem {
	if p := readParams(r).problem; p != nil {
		return p
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	_, _ = w.Write(publishedOnce().page) // who is gone needs no answer
	return nil
}
