"""
Programming languages: which grammar parses each, and what in its syntax tree is a definition.

A definition is captured under the keyword of its language (``@class``), with its ``@name``, and where it takes one
from elsewhere its ``@owner`` (the receiver of a Go method) or what is ``@implemented``. To add a language, add its
grammar here and its suffixes in :data:`GRAMMARS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grammar:
    """
    How a language is parsed.

    Attributes:
        module: the package that holds the compiled grammar; imported at first use.
        query: tree-sitter query that matches the definitions; each pattern begins on a line of its own.
        function: the package's function that gives the grammar.
        separator: what stands between a class and its member in a qualified name.
    """

    module: str
    query: str
    function: str = "language"
    separator: str = "."


_C_FUNCTIONS = """
(function_definition declarator: (function_declarator declarator: (_) @name)) @function
(function_definition declarator: (pointer_declarator (function_declarator declarator: (_) @name))) @function
(function_definition
  declarator: (pointer_declarator (pointer_declarator (function_declarator declarator: (_) @name)))) @function
(declaration declarator: (function_declarator declarator: (identifier) @name)) @function
(declaration declarator: (pointer_declarator (function_declarator declarator: (identifier) @name))) @function
(struct_specifier name: (type_identifier) @name body: (_)) @struct
(union_specifier name: (type_identifier) @name body: (_)) @union
(enum_specifier name: (type_identifier) @name body: (_)) @enum
(type_definition type: (struct_specifier !name body: (_)) declarator: (type_identifier) @name) @struct
(type_definition type: (union_specifier !name body: (_)) declarator: (type_identifier) @name) @union
(type_definition type: (enum_specifier !name body: (_)) declarator: (type_identifier) @name) @enum
"""

_ECMASCRIPT = """
(class_declaration name: (_) @name) @class
(function_declaration name: (_) @name) @function
(generator_function_declaration name: (_) @name) @function
(method_definition name: (_) @name) @function
(variable_declarator name: (identifier) @name value: [(arrow_function) (function_expression)]) @function
(variable_declarator name: (identifier) @name value: (class)) @class
(assignment_expression
  left: (member_expression) @name right: [(arrow_function) (function_expression)]) @function
"""

_TYPESCRIPT = f"""{_ECMASCRIPT}
(abstract_class_declaration name: (_) @name) @class
(interface_declaration name: (_) @name) @interface
(enum_declaration name: (_) @name) @enum
(type_alias_declaration name: (_) @name) @type
(internal_module name: (_) @name) @namespace
(module name: (_) @name) @module
(function_signature name: (_) @name) @function
(public_field_definition name: (_) @name value: (arrow_function)) @function
"""

_BASH = Grammar(
    "tree_sitter_bash",
    """
(function_definition name: (_) @name) @function
""",
)
_C = Grammar("tree_sitter_c", _C_FUNCTIONS)
_CPP = Grammar(
    "tree_sitter_cpp",
    f"""{_C_FUNCTIONS}
(function_definition declarator: (reference_declarator (function_declarator declarator: (_) @name))) @function
(class_specifier name: (_) @name body: (_)) @class
(namespace_definition name: (_) @name) @namespace
(concept_definition name: (_) @name) @concept
""",
    separator="::",
)
_C_SHARP = Grammar(
    "tree_sitter_c_sharp",
    """
(namespace_declaration name: (_) @name) @namespace
(class_declaration name: (_) @name) @class
(struct_declaration name: (_) @name) @struct
(record_declaration name: (_) @name) @record
(interface_declaration name: (_) @name) @interface
(enum_declaration name: (_) @name) @enum
(delegate_declaration name: (_) @name) @delegate
(method_declaration name: (_) @name) @function
(constructor_declaration name: (_) @name) @function
""",
)
_GO = Grammar(
    "tree_sitter_go",
    """
(function_declaration name: (_) @name) @func
(method_declaration
  receiver: (parameter_list (parameter_declaration type: [
    (type_identifier) @owner
    (pointer_type (type_identifier) @owner)
    (generic_type type: (_) @owner)
    (pointer_type (generic_type type: (_) @owner))
  ]))
  name: (_) @name) @func
(type_spec name: (_) @name) @type
""",
)
_JAVA = Grammar(
    "tree_sitter_java",
    """
(class_declaration name: (_) @name) @class
(record_declaration name: (_) @name) @record
(interface_declaration name: (_) @name) @interface
(annotation_type_declaration name: (_) @name) @interface
(enum_declaration name: (_) @name) @enum
(method_declaration name: (_) @name) @function
(constructor_declaration name: (_) @name) @function
(compact_constructor_declaration name: (_) @name) @function
""",
)
_JAVASCRIPT = Grammar(
    "tree_sitter_javascript",
    f"""{_ECMASCRIPT}
(field_definition property: (_) @name value: (arrow_function)) @function
""",
)
_KOTLIN = Grammar(
    "tree_sitter_kotlin",
    """
(class_declaration "class" name: (_) @name) @class
(class_declaration "interface" name: (_) @name) @interface
(object_declaration name: (_) @name) @object
(function_declaration name: (_) @name) @fun
""",
)
_LUA = Grammar(
    "tree_sitter_lua",
    """
(function_declaration name: (_) @name) @function
(assignment_statement (variable_list name: (_) @name) (expression_list value: (function_definition))) @function
""",
)
_PHP = Grammar(
    "tree_sitter_php",
    """
(namespace_definition name: (_) @name body: (_)) @namespace
(class_declaration name: (_) @name) @class
(interface_declaration name: (_) @name) @interface
(trait_declaration name: (_) @name) @trait
(enum_declaration name: (_) @name) @enum
(function_definition name: (_) @name) @function
(method_declaration name: (_) @name) @function
""",
    function="language_php",
    separator="::",
)
_PYTHON = Grammar(
    "tree_sitter_python",
    """
(class_definition name: (_) @name) @class
(function_definition name: (_) @name) @def
""",
)
_RUBY = Grammar(
    "tree_sitter_ruby",
    """
(module name: (_) @name) @module
(class name: (_) @name) @class
(method name: (_) @name) @def
(singleton_method name: (_) @name) @def
""",
)
_RUST = Grammar(
    "tree_sitter_rust",
    """
(mod_item name: (_) @name body: (_)) @mod
(struct_item name: (_) @name) @struct
(union_item name: (_) @name) @union
(enum_item name: (_) @name) @enum
(trait_item name: (_) @name) @trait
(impl_item trait: (_)? @implemented type: (_) @name) @impl
(macro_definition name: (_) @name) @macro
(function_item name: (_) @name) @fn
""",
    separator="::",
)
_SCALA = Grammar(
    "tree_sitter_scala",
    """
(class_definition name: (_) @name) @class
(object_definition name: (_) @name) @object
(trait_definition name: (_) @name) @trait
(enum_definition name: (_) @name) @enum
(function_definition name: (_) @name) @def
""",
)
_SWIFT = Grammar(
    "tree_sitter_swift",
    """
(class_declaration declaration_kind: "class" name: (_) @name) @class
(class_declaration declaration_kind: "actor" name: (_) @name) @actor
(class_declaration declaration_kind: "struct" name: (_) @name) @struct
(class_declaration declaration_kind: "enum" name: (_) @name) @enum
(class_declaration declaration_kind: "extension" name: (_) @name) @extension
(protocol_declaration name: (_) @name) @protocol
(function_declaration name: (_) @name) @func
(init_declaration "init" @name) @func
""",
)
_TSX = Grammar("tree_sitter_typescript", _TYPESCRIPT, "language_tsx")
_TS = Grammar("tree_sitter_typescript", _TYPESCRIPT, "language_typescript")

GRAMMARS: Mapping[str, Grammar] = {
    ".bash": _BASH,
    ".sh": _BASH,
    ".c": _C,
    ".cc": _CPP,
    ".cpp": _CPP,
    ".cxx": _CPP,
    ".h": _CPP,  # which reads C as well
    ".hh": _CPP,
    ".hpp": _CPP,
    ".cs": _C_SHARP,
    ".go": _GO,
    ".java": _JAVA,
    ".cjs": _JAVASCRIPT,
    ".js": _JAVASCRIPT,
    ".jsx": _JAVASCRIPT,
    ".mjs": _JAVASCRIPT,
    ".kt": _KOTLIN,
    ".kts": _KOTLIN,
    ".lua": _LUA,
    ".php": _PHP,
    ".py": _PYTHON,
    ".pyi": _PYTHON,
    ".rb": _RUBY,
    ".rs": _RUST,
    ".scala": _SCALA,
    ".swift": _SWIFT,
    ".cts": _TS,
    ".mts": _TS,
    ".ts": _TS,
    ".tsx": _TSX,
}
"""File name suffix, in small letters -> its language's grammar."""
