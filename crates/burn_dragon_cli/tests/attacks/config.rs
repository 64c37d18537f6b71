//! Configuration files. A person wrote them, or took them from somewhere.

attacks! { Config, "toml":
    not_toml: "not valid TOML" = "[model\n";
    not_utf8: "not UTF-8" = b"a = '\xff'";
    with_nul: "not valid TOML" = "a = 'b\0c'";
    lists_nested_deeply: "not valid TOML" = format!("a = {}{}", "[".repeat(3000), "]".repeat(3000));
    tables_nested_deeply: "not valid TOML" = format!("a = {}1{}", "{a=".repeat(1000), "}".repeat(1000));
    key_of_many_parts: "recursion limit" = format!("{}a = 1", "a.".repeat(4000 / 2));
    header_of_many_parts: "recursion limit" = format!("[{}a]\n", "a.".repeat(4000 / 2));
    longer_than_the_limit: "at most 262144" = "#".repeat((256 << 10) + 1);
    key_twice: "not valid TOML" = "[model]\nd_model = 1\nd_model = 2\n";
    table_twice: "not valid TOML" = "[model]\n[model]\n";
    unknown_key: "unknown key" = "[model]\nd_modle = 1\n";
    number_beyond_counting: "at most 9223372036854775807" = "[model]\nd_model = 999999999999999999999999\n";
    number_negative: "should be" = "[model]\nd_model = -1\n";
    number_of_another_kind: "should be" = "[model]\nd_model = 1.5\n";
    size_beyond_memory: "at most" = "[model]\nd_model = 9223372036854775807\n";
    text_for_a_table: "should be" = "model = 'tiny'\n";
    extends_itself: "circle" = "extends = 'extends_itself.toml'\n";
    extends_nothing_there: "cannot read" = "extends = 'nothing.toml'\n";
    extends_a_folder: "cannot read" = "extends = '.'\n";
    extends_a_device: "cannot read" = "extends = '/dev/zero'\n";
    extends_an_address: "cannot read" = "extends = 'http://host/base.toml'\n";
    extends_a_number: "list of file names" = "extends = 3\n";
    extends_without_end: "circle" = format!("extends = [{}]\n", "'extends_without_end.toml',".repeat(100_000 / 14 / 2));
    extends_too_many: "cannot read" = format!("extends = [{}]\n", "'nothing.toml',".repeat(10_000));
}
