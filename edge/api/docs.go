package api

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"regexp"
	"slices"
	"strings"
)

//go:embed docs.html
var docsHTML string

// docs is what docs.html shows.
type docs struct {
	Title       string
	Description template.HTML
	Tags        []*docsTag
	Problems    []docsRow
	Schemas     []docsSchema
}

type docsTag struct {
	Name, Description string
	Operations        []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, Scope, Example string

	Description                   template.HTML
	Parameters, Bodies, Responses []docsRow
}

type docsSchema struct {
	Name              string
	Description, Type template.HTML
	Members           []docsRow
}

// docsRow is a row of a table: a parameter, a member, a status.
type docsRow struct {
	Name              string
	Type, Description template.HTML
}

// docsPage writes the page of an OpenAPI document.
func docsPage(root object) []byte {
	b := &docsBuilder{root: root}
	info := objectAt(root, "info")
	d := docs{Title: textAt(info, "title"), Description: markdown(textAt(info, "description"))}
	tags := make(map[string]*docsTag)
	for _, t := range listAt(root, "tags") {
		t, _ := t.(object)
		tag := &docsTag{Name: textAt(t, "name"), Description: textAt(t, "description")}
		tags[tag.Name] = tag
		d.Tags = append(d.Tags, tag)
	}
	for _, path := range objectAt(root, "paths") {
		item, _ := path.value.(object)
		for _, method := range item {
			op, ok := method.value.(object)
			if !ok {
				continue
			}
			for _, name := range listAt(op, "tags") {
				if tag := tags[fmt.Sprint(name)]; tag != nil {
					tag.Operations = append(tag.Operations, b.operation(path.name, method.name, op))
				}
			}
		}
	}
	d.Tags = slices.DeleteFunc(d.Tags, func(t *docsTag) bool { return len(t.Operations) == 0 })
	components := objectAt(root, "components")
	for _, r := range objectAt(components, "responses") {
		response, _ := r.value.(object)
		for _, name := range listAt(response, "x-problems") {
			d.Problems = append(d.Problems, docsRow{fmt.Sprint(name), "", markdown(textAt(response, "description"))})
		}
	}
	for _, s := range objectAt(components, "schemas") {
		schema, _ := s.value.(object)
		d.Schemas = append(d.Schemas, docsSchema{s.name, markdown(textAt(schema, "description")), b.typeOf(schema), b.members("", schema)})
	}
	t := template.Must(template.New("docs").Parse(docsHTML))
	var page bytes.Buffer
	if err := t.Execute(&page, d); err != nil {
		panic("BUG: the page of the API: " + err.Error())
	}
	return page.Bytes()
}

// docsBuilder looks up what a document refers to.
type docsBuilder struct{ root object }

// resolve follows a reference within the document; what stands beside it comes first.
func (b *docsBuilder) resolve(v any) object {
	o, _ := v.(object)
	ref := textAt(o, "$ref")
	if ref == "" {
		return o
	}
	var at any = b.root
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		at, _ = at.(object)
		at = objectOf(at).get(name)
	}
	return append(slices.Clone(o), objectOf(at)...)
}

func (b *docsBuilder) operation(path, method string, op object) docsOperation {
	o := docsOperation{
		ID: textAt(op, "operationId"), Method: strings.ToUpper(method), Path: path, Summary: textAt(op, "summary"),
		Scope: textAt(op, "x-scope"), Description: markdown(textAt(op, "description")),
	}
	for _, p := range listAt(op, "parameters") {
		p := b.resolve(p)
		schema := objectOf(p.get("schema"))
		text := textAt(p, "description")
		if text == "" {
			text = textAt(b.resolve(schema), "description")
		}
		row := docsRow{textAt(p, "name"), b.typeOf(schema), markdown(text)}
		if in := textAt(p, "in"); in != "query" {
			row.Type += template.HTML(", in the " + template.HTMLEscapeString(in))
		}
		o.Parameters = append(o.Parameters, row)
	}
	for _, c := range objectAt(objectOf(op.get("requestBody")), "content") {
		media, _ := c.value.(object)
		o.Bodies = append(o.Bodies, docsRow{c.name, b.content(media), ""})
		if schema := objectOf(media.get("schema")); textAt(schema, "$ref") == "" && media.get("x-itemSchema") == nil {
			o.Bodies = append(o.Bodies, b.members("", schema)...)
		}
	}
	var answers [][]docsRow
	for _, r := range objectAt(op, "responses") {
		response := b.resolve(r.value)
		row := docsRow{r.name, "", markdown(textAt(response, "description"))}
		var members []docsRow // of objects that have no name
		for _, c := range objectAt(response, "content") {
			if media, _ := c.value.(object); c.name != problemMediaType {
				if row.Type != "" {
					row.Type += "<br>"
				}
				row.Type += template.HTML("<code>"+template.HTMLEscapeString(c.name)+"</code> ") + b.content(media)
				members = append(members, b.members("", objectOf(media.get("schema")))...)
				members = append(members, b.members("", objectOf(media.get("x-itemSchema")))...)
			}
		}
		answers = append(answers, append([]docsRow{row}, members...))
	}
	slices.SortFunc(answers, func(a, b []docsRow) int { return strings.Compare(a[0].Name, b[0].Name) })
	o.Responses = slices.Concat(answers...)
	for _, s := range listAt(op, "x-codeSamples") {
		o.Example += strings.TrimSpace(textAt(objectOf(s), "source")) + "\n"
	}
	return o
}

// content tells what a body is.
func (b *docsBuilder) content(media object) template.HTML {
	if line := media.get("x-itemSchema"); line != nil {
		return "lines of " + b.typeOf(objectOf(line))
	}
	return b.typeOf(objectOf(media.get("schema")))
}

// typeOf says in short what a schema allows.
func (b *docsBuilder) typeOf(schema object) template.HTML {
	var alternatives []string
	for _, a := range listAt(schema, "anyOf") {
		alternatives = append(alternatives, string(b.typeOf(objectOf(a))))
	}
	var words []string
	for _, v := range listAt(schema, "enum") {
		words = append(words, "<code>"+template.HTMLEscapeString(fmt.Sprint(v))+"</code>")
	}
	text := ""
	switch ref := textAt(schema, "$ref"); {
	case ref != "":
		name := template.HTMLEscapeString(ref[strings.LastIndexByte(ref, '/')+1:])
		text = `<a href="#object-` + name + `">` + name + "</a>"
	case alternatives != nil:
		text = strings.Join(alternatives, " or ")
	case words != nil:
		text = strings.Join(words, " ")
	case schema.get("items") != nil:
		text = "array of " + string(b.typeOf(objectOf(schema.get("items"))))
	case schema.get("const") != nil:
		text = "<code>" + template.HTMLEscapeString(fmt.Sprint(schema.get("const"))) + "</code>"
	default:
		text = strings.Join(typeNames(schema), " or ")
	}
	if usual := schema.get("default"); usual != nil {
		text += ", default <code>" + template.HTMLEscapeString(fmt.Sprint(usual)) + "</code>"
	}
	if least, most := schema.get("minimum"), schema.get("maximum"); least != nil && most != nil {
		text += template.HTMLEscapeString(fmt.Sprintf(", %v to %v", least, most))
	}
	return template.HTML(text) // of pieces that are escaped
}

func typeNames(schema object) (names []string) {
	switch t := schema.get("type").(type) {
	case string:
		names = append(names, t)
	case []any:
		for _, n := range t {
			names = append(names, fmt.Sprint(n))
		}
	}
	if f := textAt(schema, "format"); f != "" && len(names) > 0 {
		names[0] += " (" + f + ")"
	}
	return names
}

// members lists an object's members, and those of objects within that have no name.
func (b *docsBuilder) members(prefix string, schema object) (rows []docsRow) {
	required := listAt(schema, "required")
	for _, p := range objectAt(schema, "properties") {
		s, _ := p.value.(object)
		row := docsRow{prefix + p.name, b.typeOf(s), markdown(textAt(s, "description"))}
		if slices.Contains(required, any(p.name)) && prefix == "" {
			row.Type += ", always"
		}
		rows = append(rows, row)
		rows = append(rows, b.members(prefix+p.name+".", s)...)
		rows = append(rows, b.members(prefix+p.name+"[].", objectOf(s.get("items")))...)
	}
	return rows
}

func objectOf(v any) object {
	o, _ := v.(object)
	return o
}

func objectAt(o object, name string) object { return objectOf(o.get(name)) }

func listAt(o object, name string) []any {
	l, _ := o.get(name).([]any)
	return l
}

func textAt(o object, name string) string {
	s, _ := o.get(name).(string)
	return s
}

var (
	codeSpan = regexp.MustCompile("`([^`]+)`")
	boldSpan = regexp.MustCompile(`\*\*([^*]+)\*\*`)
	softSpan = regexp.MustCompile(`\*([^*]+)\*`)
)

// markdown writes the part of it that openapi.yaml uses: paragraphs, code, bold and emphasis.
func markdown(text string) template.HTML {
	text = strings.TrimSpace(template.HTMLEscapeString(text))
	if text == "" {
		return ""
	}
	text = codeSpan.ReplaceAllString(text, "<code>$1</code>")
	text = boldSpan.ReplaceAllString(text, "<b>$1</b>")
	text = softSpan.ReplaceAllString(text, "<em>$1</em>")
	paragraphs := strings.Split(text, "\n\n")
	if len(paragraphs) == 1 {
		return template.HTML(text) // escaped above
	}
	return template.HTML("<p>" + strings.Join(paragraphs, "</p>\n<p>") + "</p>")
}
