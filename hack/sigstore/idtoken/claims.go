// SPDX-License-Identifier: Apache-2.0

package idtoken

import (
	"errors"
	"fmt"
	"hash/fnv"
	"path"
	"strconv"
	"strings"
)

// ErrRepository is returned for a repository that is not owner/name.
var ErrRepository = errors.New("repository is not of the form owner/name")

// The kinds of issuer in Fulcio's production configuration.
const (
	kindGitHub     = "github-workflow"
	kindGitLab     = "gitlab-pipeline"
	kindBuildkite  = "buildkite-job"
	kindCircleCI   = "circleci-job"
	kindCodefresh  = "codefresh-workflow"
	kindEmail      = "email"
	kindKubernetes = "kubernetes"
	kindChainguard = "chainguard-identity"
)

// shape is what the tokens of one kind of issuer look like.
type shape struct {
	// workflow is the default path of the file that drives a build.
	workflow string
	claims   func(source) map[string]any
}

// source is a request with its repository and reference taken apart.
type source struct {
	Request
	owner, name       string
	refType, refShort string // "branch" and "main"
}

// shapeOf is the table of issuers. A kind that is not in it gets a subject and
// nothing else; Fulcio refuses such a token.
func shapeOf(kind string) shape {
	shapes := map[string]shape{
		kindGitHub:     {".github/workflows/release.yml", github},
		kindGitLab:     {".gitlab-ci.yml", gitlab},
		kindBuildkite:  {".buildkite/pipeline.yml", buildkite},
		kindCircleCI:   {".circleci/config.yml", circleci},
		kindCodefresh:  {"codefresh.yml", codefresh},
		kindEmail:      {"", email},
		kindKubernetes: {"", kubernetes},
		kindChainguard: {"", subjectOnly},
	}
	if found, ok := shapes[kind]; ok {
		return found
	}
	return shape{"", subjectOnly}
}

func workflowOf(kind string) string { return shapeOf(kind).workflow }

func claimsOf(kind string, request Request) (map[string]any, error) {
	owner, name, ok := strings.Cut(request.Repository, "/")
	if !ok || owner == "" || name == "" {
		return nil, fmt.Errorf("%w: %q", ErrRepository, request.Repository)
	}
	s := source{Request: request, owner: owner, name: name, refType: "branch"}
	s.refShort = strings.TrimPrefix(request.Ref, "refs/heads/")
	if tag, ok := strings.CutPrefix(request.Ref, "refs/tags/"); ok {
		s.refType, s.refShort = "tag", tag
	}
	return shapeOf(kind).claims(s), nil
}

// github follows "About security hardening with OpenID Connect" of GitHub's
// documentation.
func github(s source) map[string]any {
	workflow := s.Repository + "/" + s.Workflow + "@" + s.Ref
	base := path.Base(s.Workflow)
	return map[string]any{
		"sub":                   "repo:" + s.Repository + ":ref:" + s.Ref,
		"actor":                 s.owner,
		"actor_id":              number(s.owner),
		"base_ref":              "",
		"event_name":            "push",
		"head_ref":              "",
		"job_workflow_ref":      workflow,
		"job_workflow_sha":      s.SHA,
		"ref":                   s.Ref,
		"ref_protected":         "true",
		"ref_type":              s.refType,
		"repository":            s.Repository,
		"repository_id":         number(s.Repository),
		"repository_owner":      s.owner,
		"repository_owner_id":   number(s.owner),
		"repository_visibility": "public",
		"run_attempt":           "1",
		"run_id":                number(workflow + s.SHA),
		"run_number":            "1",
		"runner_environment":    "github-hosted",
		"sha":                   s.SHA,
		"workflow":              strings.TrimSuffix(base, path.Ext(base)),
		"workflow_ref":          workflow,
		"workflow_sha":          s.SHA,
	}
}

func gitlab(s source) map[string]any {
	host := strings.TrimPrefix(s.Issuer, "https://")
	return map[string]any{
		"sub":                "project_path:" + s.Repository + ":ref_type:" + s.refType + ":ref:" + s.refShort,
		"ci_config_ref_uri":  host + "/" + s.Repository + "//" + s.Workflow + "@" + s.Ref,
		"ci_config_sha":      s.SHA,
		"job_id":             number(s.Repository + s.SHA),
		"namespace_id":       number(s.owner),
		"namespace_path":     s.owner,
		"pipeline_id":        number(s.SHA),
		"pipeline_source":    "push",
		"project_id":         number(s.Repository),
		"project_path":       s.Repository,
		"project_visibility": "public",
		"ref":                s.refShort,
		"ref_path":           s.Ref,
		"ref_protected":      "true",
		"ref_type":           s.refType,
		"runner_environment": "gitlab-hosted",
		"sha":                s.SHA,
		"user_login":         s.owner,
	}
}

func buildkite(s source) map[string]any {
	return map[string]any{
		"sub":                "organization:" + s.owner + ":pipeline:" + s.name + ":ref:" + s.Ref + ":commit:" + s.SHA + ":step:release",
		"build_branch":       s.refShort,
		"build_commit":       s.SHA,
		"build_number":       1,
		"build_source":       "webhook",
		"job_id":             uuid(s.Repository + s.SHA),
		"organization_slug":  s.owner,
		"pipeline_slug":      s.name,
		"runner_environment": "buildkite-hosted",
		"step_key":           "release",
	}
}

func circleci(s source) map[string]any {
	project := uuid(s.Repository)
	return map[string]any{
		"sub":                      "org/" + uuid(s.owner) + "/project/" + project + "/user/" + uuid(s.owner+"user"),
		"oidc.circleci.com/job-id": uuid(s.SHA + "job"),
		"oidc.circleci.com/org-id": uuid(s.owner),
		"oidc.circleci.com/pipeline-definition-id": uuid(s.Repository + s.Workflow),
		"oidc.circleci.com/pipeline-id":            uuid(s.SHA),
		"oidc.circleci.com/project-id":             project,
		"oidc.circleci.com/ssh-rerun":              false,
		"oidc.circleci.com/vcs-origin":             "https://github.com/" + s.Repository,
		"oidc.circleci.com/vcs-ref":                s.Ref,
		"oidc.circleci.com/workflow-id":            uuid(s.SHA + "workflow"),
	}
}

func codefresh(s source) map[string]any {
	return map[string]any{
		"sub":                "account:" + s.owner + ":pipeline:" + s.Repository,
		"account_id":         number(s.owner),
		"account_name":       s.owner,
		"pipeline_id":        number(s.Repository),
		"pipeline_name":      s.Repository,
		"platform_url":       "https://g.codefresh.io",
		"runner_environment": "hybrid",
		"scm_ref":            s.refShort,
		"scm_repo_url":       "https://github.com/" + s.Repository,
		"workflow_id":        number(s.Repository + s.SHA),
	}
}

func email(s source) map[string]any {
	address := s.Subject
	if address == "" {
		address = s.name + "@" + s.owner + ".example"
	}
	return map[string]any{
		"sub":            number(address),
		"email":          address,
		"email_verified": true,
		// What oauth2.sigstore.dev says about where a user logged in.
		"federated_claims": map[string]any{"connector_id": "https://accounts.google.com", "user_id": number(address)},
	}
}

func kubernetes(s source) map[string]any {
	return map[string]any{
		"sub": "system:serviceaccount:" + s.owner + ":" + s.name,
		"kubernetes.io": map[string]any{
			"namespace":      s.owner,
			"pod":            map[string]any{"name": s.name + "-0", "uid": uuid(s.Repository + "pod")},
			"serviceaccount": map[string]any{"name": s.name, "uid": uuid(s.Repository)},
		},
	}
}

func subjectOnly(s source) map[string]any { return map[string]any{"sub": s.Repository} }

// number stands for a database id: the same for the same name, and as every
// such id a decimal string.
func number(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return strconv.FormatUint(uint64(h.Sum32()), 10)
}

// uuid is number for services whose ids are UUIDs.
func uuid(name string) string {
	h := fnv.New128a()
	_, _ = h.Write([]byte(name))
	b := h.Sum(nil)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
