# SPDX-License-Identifier: Apache-2.0
import unittest

from guestbook import app


class Guestbook(unittest.TestCase):
    def test_signs(self):
        client = app.test_client()
        self.assertEqual(client.post("/entries", json={"entry": "was here"}).status_code, 201)
        self.assertIn("was here", client.get("/entries").get_json())

    def test_refuses_empty(self):
        self.assertEqual(app.test_client().post("/entries", json={}).status_code, 400)


if __name__ == "__main__":
    unittest.main()
