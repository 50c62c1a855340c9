"""Stage 3, may they: policy documents and their elements, from YAML to a Decision. No I/O, no clock, no randomness.

Reading map: document.py loads a file and compiles what is in force for a connection; evaluate.py turns that and a
request into a Decision; element.py says what every element is; place.py reads an element's values; expression.py is
CEL. Then one file and one class for each element. They decide with addresses.py, glob.py and http_fields.py; listing.py
takes what they hide out of the answers.
"""
