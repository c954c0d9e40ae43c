# SPDX-License-Identifier: Apache-2.0

"""A package for tests of the catalogue."""
