// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// What a module may call is listed, so that a new version of the library adds
// nothing by itself. Left out is what reaches the network or the machine
// (http.send, net.*, opa.runtime, providers.*, and the JSON schema functions,
// which fetch references), what gives another answer each time (rand.*,
// uuid.rfc4122), and what makes signatures and keys (io.jwt.encode_*,
// crypto.parse_private_keys), which no policy needs. The clock is that of the
// decision.
var (
	families = []string{
		"array.", "base64.", "base64url.", "bits.", "crypto.hmac.", "glob.", "graph.", "hex.",
		"io.jwt.verify_", "numbers.", "object.", "regex.", "rego.metadata.", "semver.", "strings.",
		"time.", "units.", "uri.", "urlquery.", "yaml.",
	}
	functions = strings.Fields(`
		abs all and any assign cast_array cast_boolean cast_null cast_object cast_set cast_string ceil
		concat contains count crypto.md5 crypto.sha1 crypto.sha256
		crypto.x509.parse_and_verify_certificates crypto.x509.parse_certificates div endswith eq equal
		floor format_int gt gte indexof indexof_n internal.member_2 internal.member_3 internal.print
		internal.template_string intersection io.jwt.decode is_array is_boolean is_null is_number
		is_object is_set is_string json.filter json.is_valid json.marshal json.marshal_with_options
		json.patch json.remove json.unmarshal lower lt lte max min minus mul neq or plus print product
		re_match rem replace round set_diff sort split sprintf startswith substring sum to_number trace
		trim trim_left trim_prefix trim_right trim_space trim_suffix type_name union upper uuid.parse walk`)
)

func allowed(name string) bool {
	return slices.Contains(functions, name) ||
		slices.ContainsFunc(families, func(family string) bool { return strings.HasPrefix(name, family) })
}

// capabilities are those of the library less what is not allowed. A module that
// calls anything else does not compile.
func capabilities(version ast.RegoVersion) *ast.Capabilities {
	caps := ast.CapabilitiesForThisVersion(ast.CapabilitiesRegoVersion(version))
	caps.Builtins = slices.DeleteFunc(slices.Clone(caps.Builtins), func(b *ast.Builtin) bool { return !allowed(b.Name) })
	// No host at all, for whatever asks before it connects.
	caps.AllowNet = []string{}
	return caps
}
