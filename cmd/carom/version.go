package main

import "runtime"

// buildVersion is set by the linker, see the Makefile.
var buildVersion = "development"

func version() string { return buildVersion + " (" + runtime.Version() + ")" }
