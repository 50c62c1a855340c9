"""The expressions of Azure API Management: a typed and bounded subset of C#. program.py is the way in."""
