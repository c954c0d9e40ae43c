// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"fmt"
	"slices"
	"strings"
)

// judgeCompliant reads isCompliant as policy-controller does: true, or a set of
// objects of which one has a true result. A warning counts as a refusal there,
// and so it does here.
func judgeCompliant(result any) error {
	document, _ := result.(map[string]any)
	switch value := document["isCompliant"].(type) {
	case bool:
		if value {
			return nil
		}
	case []any:
		return judgeObjects(value)
	}
	return fmt.Errorf("%w: isCompliant is not true", ErrDenied)
}

func judgeObjects(objects []any) error {
	compliant := false
	var messages []string
	for _, o := range objects {
		object, ok := o.(map[string]any)
		if !ok {
			return fmt.Errorf("%w: isCompliant must be true, or hold objects with a result", ErrDenied)
		}
		result, _ := object["result"].(bool)
		warning, _ := object["warning"].(string)
		reason, _ := object["error"].(string)
		switch {
		case result && warning != "":
			return fmt.Errorf("%w: warning: %s", ErrDenied, warning)
		case result:
			compliant = true
		case reason != "":
			messages = append(messages, reason)
		}
	}
	if compliant {
		return nil
	}
	if len(messages) == 0 {
		messages = []string{"isCompliant has no object with result true"}
	}
	return fmt.Errorf("%w: %s", ErrDenied, strings.Join(messages, "; "))
}

// judgeAllow wants allow true and deny empty. What deny holds is the reason,
// even where allow is missing as well.
func judgeAllow(result any) error {
	document, _ := result.(map[string]any)
	switch deny := document["deny"].(type) {
	case nil:
		if _, defined := document["deny"]; defined {
			return fmt.Errorf("%w: deny must be a set of messages", ErrDenied)
		}
	case []any:
		if len(deny) > 0 {
			return fmt.Errorf("%w: %s", ErrDenied, messages(deny))
		}
	default:
		return fmt.Errorf("%w: deny must be a set of messages", ErrDenied)
	}
	if allow, ok := document["allow"].(bool); !ok || !allow {
		return fmt.Errorf("%w: allow is not true", ErrDenied)
	}
	return nil
}

func messages(list []any) string {
	var texts []string
	for _, m := range list {
		texts = append(texts, fmt.Sprint(m))
	}
	slices.Sort(texts)
	return strings.Join(texts, "; ")
}
