use super::*;

fn faults(text: &str) -> Vec<String> {
    match Config::parse(text, Path::new("/base")) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_sample_that_init_writes_is_valid() {
    assert_eq!(faults(SAMPLE), Vec::<String>::new());
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let text = SAMPLE.replacen("[http]", "[http]\nlisen = \"x\"", 1);
    let found = faults(&text);
    assert!(found[0].starts_with("line ") && found[0].contains("lisen"), "{found:?}");
}

#[test]
fn every_fault_is_told_at_once_with_its_place() {
    let text = SAMPLE.replacen("grace = \"30s\"", "grace = \"11m\"", 1).replacen(
        "url = \"http://",
        "url = \"https://",
        1,
    );
    let found = faults(&text);
    assert!(found.iter().any(|f| f.starts_with("lane[0].grace")), "{found:?}");
    assert!(found.iter().any(|f| f.starts_with("lane[0].node.url")), "{found:?}");
}

#[test]
fn a_site_with_an_https_address_has_secure_cookies() {
    let with = |origin: &str, secure: bool| {
        let cookies = format!("secure_cookies = {secure}\norigin = \"{origin}\"");
        faults(&SAMPLE.replacen("secure_cookies = false", &cookies, 1))
    };
    let found = with("https://mine.example", false);
    assert!(found.iter().any(|f| f.starts_with("http.secure_cookies")), "{found:?}");
    assert_eq!(with("https://mine.example", true), Vec::<String>::new());
    assert_eq!(with("http://mine.example", false), Vec::<String>::new(), "a private network");
}

#[test]
fn a_lane_for_eth_is_refused_with_the_day_on_which_it_left_proof_of_work() {
    let found = faults(&SAMPLE.replacen("asset = \"LTC\"", "asset = \"ETH\"", 1));
    assert!(found[0].starts_with("lane[1].asset") && found[0].contains("15,537,393"), "{found:?}");
}

#[test]
fn a_lane_has_one_node_or_several_and_none_twice() {
    let one = "[lane.node]\nurl = \"http://127.0.0.1:8332\"";
    assert!(SAMPLE.contains("[lane.node]\n# Bitcoin Core's RPC."));
    let sample = SAMPLE.replacen(
        "# Bitcoin Core's RPC. Give user and password, or the node's cookie file.\n",
        "",
        1,
    );
    let with = |nodes: &str| faults(&sample.replacen(one, nodes, 1));
    assert!(with(one).is_empty(), "{:?}", with(one));
    let several = "[[lane.nodes]]\nurl = \"http://10.0.0.2:8332\"\n[[lane.nodes]]\nurl = \"http://10.0.0.1:8332\"";
    assert!(with(several).is_empty(), "{:?}", with(several));
    let twice = with(&several.replace("10.0.0.2", "10.0.0.1"));
    assert!(twice[0].starts_with("lane[0].nodes[1].url"), "{twice:?}");
    let both = with(&format!("{several}\nuser = \"u\"\n{one}"));
    assert!(both[0].starts_with("lane[0].nodes:"), "{both:?}");
    let none = with("[lane.unknown]\nurl = \"x\"");
    assert!(none[0].contains("unknown"), "{none:?}");
}

#[test]
fn names_given_twice_and_amounts_below_zero_are_told() {
    let machine = |name: &str| {
        format!("[[site.machine]]\nname = \"{name}\"\nlane = \"btc\"\nnameplate = \"1 TH/s\"\n")
    };
    let site = |name: &str, machines: &[&str]| {
        let machines: String = machines.iter().map(|m| machine(m)).collect();
        format!("\n[[site]]\nname = \"{name}\"\n{machines}")
    };
    let begin = SAMPLE.find("[[site]]").unwrap();
    let at = SAMPLE.find("auto_approve_minor = ").unwrap() + "auto_approve_minor = ".len();
    let lanes = [&SAMPLE[..at], "-", &SAMPLE[at..begin]].concat();
    let lanes = lanes.replacen("grace = ", "keep_shares = \"5m\"\ngrace = ", 1);
    let text = lanes + &site("x", &["a", "a", "b"]) + &site("y", &["b"]) + &site("x", &["c"]);
    let found = faults(&text);
    let places: Vec<&str> = found.iter().map(|f| f.split(':').next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "lane[0].auto_approve_minor",
            "lane[0].keep_shares",
            "site[0].machine[1].name",
            "site[1].machine[0].name",
            "site[2].name",
        ],
        "{found:?}"
    );
}

#[test]
fn signers_and_depths_are_of_coins_that_they_fit() {
    let with = |more: &str| faults(&format!("{SAMPLE}\n{more}"));
    let key = "account_key = \"[d34db33f/84'/0'/0']xpub6\"";
    let signer = format!("[[signer]]\nasset = \"BTC\"\n{key}\n");
    assert_eq!(with(&format!("{signer}folder = \"orders\"\n")), Vec::<String>::new());
    let url = "url = \"https://signer.example/orders\"\n";
    assert_eq!(with(&format!("{signer}{url}token = \"t\"\n")), Vec::<String>::new());
    let places = |more: &str| -> Vec<String> {
        let found = with(more);
        found.iter().map(|f| f.split(':').next().unwrap().to_owned()).collect()
    };
    assert_eq!(places(&signer), ["signer[0].folder"]);
    assert_eq!(places(&format!("{signer}{url}")), ["signer[0].token"]);
    let twice = format!("{signer}folder = \"a\"\n{signer}folder = \"a\"\n");
    assert_eq!(places(&twice), ["signer[1].asset"]);
    let etc = signer.replace("BTC", "ETC") + "folder = \"a\"\n";
    assert!(places(&etc).contains(&"signer[0].asset".to_owned()));
    let depth = |asset: &str, from: i64, blocks: u64| {
        format!(
            "[[pay_in_depth]]\nasset = \"{asset}\"\nfrom_minor = {from}\nconfirmations = {blocks}\n"
        )
    };
    let two = depth("BTC", 100, 6) + &depth("BTC", 1_000, 30);
    assert_eq!(with(&two), Vec::<String>::new());
    let bad = depth("BTC", 0, 6) + &depth("EUR", 5, 6) + &depth("BTC", 9, 0) + &depth("BTC", 9, 3);
    assert_eq!(
        places(&bad),
        [
            "pay_in_depth[0].from_minor",
            "pay_in_depth[1].asset",
            "pay_in_depth[2].confirmations",
            "pay_in_depth[3].from_minor",
        ]
    );
}

#[test]
fn a_lane_has_threads_and_not_too_many() {
    let with = |set: &str| {
        let text = SAMPLE.replacen("# threads = 1\n# Threads that hash", set, 1);
        faults(&text)
    };
    assert!(with("threads = 4\nhash_threads = 2\n# Threads that hash").is_empty());
    let none = with("threads = 0\nhash_threads = 257\n# Threads that hash");
    let places: Vec<&str> = none.iter().map(|f| f.split(':').next().unwrap()).collect();
    assert_eq!(places, ["lane[0].stratum.threads", "lane[0].stratum.hash_threads"]);
}

#[test]
fn a_plan_on_a_lane_that_is_not_there_is_refused() {
    let text = SAMPLE.replacen(
        "[[plan]]\nid = \"btc-30\"\nlane = \"btc\"",
        "[[plan]]\nid = \"btc-30\"\nlane = \"nix\"",
        1,
    );
    assert!(faults(&text).iter().any(|f| f.starts_with("plan[0].lane")), "{:?}", faults(&text));
}

#[test]
fn a_nodes_notifications_are_asked_for_unless_they_are_off_or_somewhere() {
    let with = |key: &str| {
        let text = SAMPLE.replacen("# zmq = \"tcp://127.0.0.1:28332\"", key, 1);
        (faults(&text), toml::from_str::<Config>(&text).ok())
    };
    let push = |key: &str| {
        let (found, config) = with(key);
        assert!(found.is_empty(), "{found:?}");
        let config = config.unwrap();
        let (_, node) = config.lanes[0].nodes().next().unwrap();
        node.push().unwrap()
    };
    assert_eq!(push(""), Push::Ask);
    assert_eq!(push("zmq = \"off\""), Push::Off);
    assert!(matches!(push("zmq = \"tcp://127.0.0.1:28332\""), Push::At(_)));
    for bad in ["zmq = \"http://127.0.0.1:1\"", "zmq = \"\"", "websocket = \"ws://127.0.0.1:1\""] {
        let (found, _) = with(bad);
        assert!(found[0].starts_with("lane[0].node."), "{bad}: {found:?}");
    }
}

#[test]
fn a_bank_account_is_one_a_currency_with_an_iban_that_holds() {
    let with = |bank: &str| faults(&format!("{SAMPLE}\n{bank}"));
    let one = "[[bank]]\nasset = \"EUR\"\niban = \"DE89 3704 0044 0532 0130 00\"\nholder = \"X\"\n";
    assert_eq!(with(one), Vec::<String>::new());
    let twice = with(&format!("{one}{one}"));
    assert!(twice[0].starts_with("bank[1].asset"), "{twice:?}");
    for (from, to, place) in [
        ("EUR", "BTC", "bank[0].asset"),
        ("DE89", "DE88", "bank[0].iban"),
        ("\"X\"", "\"\"", "bank[0].holder"),
        ("holder", "bic = \"x\"\nholder", "bank[0].bic"),
    ] {
        let found = with(&one.replacen(from, to, 1));
        assert!(found[0].starts_with(place), "{to}: {found:?}");
    }
    let folder = format!("{SAMPLE}\n{one}folder = \"statements\"\n");
    let config = Config::parse(&folder, Path::new("/base")).unwrap();
    assert_eq!(config.banks[0].folder.as_deref(), Some(Path::new("/base/statements")));
}

/// The places of a text's faults, and what the first of them says.
fn places(text: &str) -> (Vec<String>, String) {
    let found = faults(text);
    let places = found.iter().map(|f| f.split(':').next().unwrap().to_owned()).collect();
    (places, found.first().cloned().unwrap_or_default())
}

#[test]
fn what_a_start_would_refuse_is_refused_with_its_place() {
    let cases = [
        ("capacity_epochs = 144", "capacity_epochs = 5000", "lane[0].capacity_epochs"),
        ("listen = \"0.0.0.0:3334\"", "listen = \"127.0.0.1:3333\"", "lane[1].stratum.listen"),
        ("# url = \"postgres://", "url = \"mysql://", "database.url"),
        ("price_minor = 45", "pay_asset = \"EUR\"\nprice_minor = 45", "plan[0].pay_asset"),
        ("name = \"rack1-01\"", "name = \"rack 1\"", "site[0].machine[0].name"),
        ("name = \"Narvik\"", "name = \"Narvik!\"", "site[0].name"),
        ("name = \"Example Mining\"", "name = \" \"", "house.name"),
        ("data = \"gruve-data\"", "data = \"\"", "house.data"),
        ("tag = \"/Gruve/\"", "tag = \"a\\u0000b\"", "lane[0].tag"),
        (
            "# origin = \"https://mine.example\"",
            "origin = \"http://mine.example/x\"",
            "http.origin",
        ),
    ];
    for (right, wrong, place) in cases {
        assert!(SAMPLE.contains(right), "{right}");
        let (places, first) = places(&SAMPLE.replacen(right, wrong, 1));
        assert_eq!(places, [place], "{first}");
    }
    let bank = "[[bank]]\nasset = \"EUR\"\niban = \"DE89370400440532013000\"\nholder = \"x\"\n";
    let euros = SAMPLE.replacen("price_minor = 45", "pay_asset = \"EUR\"\nprice_minor = 45", 1);
    assert_eq!(faults(&format!("{euros}\n{bank}")), Vec::<String>::new());
}

#[test]
fn addresses_of_nodes_and_keys_of_signers_are_read_before_the_start() {
    let check = |text: &str| -> Vec<String> {
        let config = Config::parse(text, Path::new("/base")).unwrap();
        let found = crate::house::check(&config).err().unwrap_or_default();
        found.iter().map(|f| f.place.clone()).collect()
    };
    assert_eq!(check(SAMPLE), Vec::<String>::new());
    assert_eq!(check(&SAMPLE.replacen("127.0.0.1:8332", "127.0.0.1", 1)), ["lane[0].node.url"]);
    let signer = "[[signer]]\nasset = \"BTC\"\naccount_key = \"[d34db33f/84'/0'/0']xpub6\"\nfolder = \"a\"\n";
    assert_eq!(check(&format!("{SAMPLE}\n{signer}")), ["signer[0].account_key"]);
}

#[test]
fn a_value_of_another_form_is_refused_with_the_form() {
    let cases = [
        ("listen = \"127.0.0.1:8080\"", "listen = \"localhost:8080\"", "127.0.0.1:8080"),
        ("epoch = \"10m\"", "epoch = 600", "quotation marks"),
        ("auto_approve_minor = 10000000", "auto_approve_minor = 0.1", "minor units"),
        ("auto_approve_minor = 10000000", "auto_approve_minor = true", "write a whole number"),
        ("reserve_bps = 1000", "reserve_bps = -1", "write a whole number, 0 or more"),
    ];
    for (right, wrong, hint) in cases {
        let found = faults(&SAMPLE.replacen(right, wrong, 1));
        assert!(found[0].starts_with("line ") && found[0].contains(hint), "{found:?}");
    }
}

#[test]
fn relative_paths_are_below_the_configurations_folder() {
    let text = SAMPLE
        .replacen("# url = \"postgres://gruve@localhost/gruve\"", "url = \"sqlite:books.db\"", 1)
        .replacen(
            "user = \"gruve\"\npassword = \"change me\"",
            "cookie_file = \"node/.cookie\"",
            1,
        );
    let config = Config::parse(&text, Path::new("/base")).unwrap();
    assert_eq!(config.house.data, Path::new("/base/gruve-data"));
    assert_eq!(config.database_url(), "sqlite:/base/books.db");
    let cookie = config.lanes[0].node.as_ref().unwrap().cookie_file.as_deref();
    assert_eq!(cookie, Some(Path::new("/base/node/.cookie")));
}

#[test]
fn files_that_a_start_needs_are_told_when_they_are_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let tls =
        "[lane.stratum.tls]\nlisten = \"0.0.0.0:3443\"\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n";
    let text = SAMPLE.replacen("# Stratum V2 as well", &format!("{tls}# Stratum V2 as well"), 1)
        + "\n[keys]\npassphrase_file = \"folder\"\n";
    std::fs::write(dir.path().join("c.pem"), "x").unwrap();
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    let config = Config::parse(&text, dir.path()).unwrap();
    let missing = config.missing_files();
    let places: Vec<&str> = missing.iter().map(|f| f.place.as_str()).collect();
    assert_eq!(places, ["keys.passphrase_file", "lane[0].stratum.tls.key"]);
}

#[test]
fn what_was_left_of_the_sample_is_noted_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let noted = |text: &str| {
        let notes = Config::parse(text, dir.path()).unwrap().notes();
        notes.into_iter().map(|note| note.place).collect::<Vec<_>>()
    };
    let bank = "\n[[bank]]\nasset = \"EUR\"\niban = \"DE89370400440532013000\"\nholder = \"A\"\nfolder = \"statements\"\n";
    let all = ["house.origin", "house.name", "lane[0]", "lane[1]", "keys", "bank[0].folder"];
    assert_eq!(noted(&format!("{SAMPLE}{bank}")), all);
    let own = SAMPLE
        .replace("\"Example Mining\"", "\"Nordlys\"")
        .replace("\"gruve.example/log\"", "\"nordlys.example/log\"")
        .replace("\"change me\"", "\"lang nok\"");
    std::fs::create_dir(dir.path().join("statements")).unwrap();
    assert_eq!(
        noted(&format!("{own}{bank}")),
        ["keys"],
        "real coins under a plain seed do not start"
    );
    for keys in ["passphrase_file = \"words\"", "plain_on_mainnet = true"] {
        assert_eq!(noted(&format!("{own}{bank}[keys]\n{keys}\n")), Vec::<String>::new());
    }
}
