use super::*;

fn drain(answer: &mut Answer) -> Vec<Chunk> {
    std::iter::from_fn(|| answer.next()).collect()
}

fn call(id: &str, name: &str, arguments: &str) -> Chunk {
    Chunk::ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned(), signature: None }
}

fn end(answer: &Answer) -> Option<Finish> {
    answer.finished().map(|end| match end {
        Chunk::Finished { finish, .. } => finish,
        other => panic!("{other:?} is no end"),
    })
}

#[test]
fn calls_are_handed_out_whole_and_in_order() -> Result<(), Refusal> {
    let mut answer = Answer::default();
    answer.tool("0", "a", "")?;
    answer.tool("0", "not a", "weather")?;
    answer.arguments("0", "{\"city\":")?;
    answer.tool("1", "b", "time")?;
    answer.end_tool("1")?;
    assert_eq!(drain(&mut answer), [], "the first one is still open");
    answer.arguments("0", "\"Ulm\"}")?;
    answer.tool_signature("0", "sig")?;
    answer.end_tool("0")?;
    let signature = Some("sig".to_owned());
    let (id, name) = ("a".to_owned(), "weather".to_owned());
    let first = Chunk::ToolCall { id, name, arguments: "{\"city\":\"Ulm\"}".to_owned(), signature };
    assert_eq!(drain(&mut answer), [first, call("b", "time", "{}")]);
    assert_eq!(end(&answer), None);
    answer.finish(Finish::Stop);
    assert_eq!(end(&answer), Some(Finish::ToolCalls), "it stopped for its calls");
    Ok(())
}

#[test]
fn what_is_open_at_the_end_is_whole() -> Result<(), Refusal> {
    let mut answer = Answer::default();
    answer.tool("0", "a", "weather")?;
    answer.tool("1", "", "")?;
    answer.finish(Finish::Length);
    assert_eq!(drain(&mut answer), [call("a", "weather", "{}")], "a call without a name is none");
    answer.tool("0", "b", "time")?;
    answer.done();
    assert_eq!(drain(&mut answer), [call("b", "time", "{}")]);
    assert_eq!(end(&answer), Some(Finish::Length));
    Ok(())
}

#[test]
fn ids_are_unique() -> Result<(), Refusal> {
    let mut answer = Answer::default();
    for (key, id) in [("0", "call_1"), ("1", ""), ("2", "call_1"), ("3", "call_2")] {
        answer.tool(key, id, "t")?;
    }
    answer.done();
    let expected = ["call_1", "call_129", "call_2", "call_3"].map(|id| call(id, "t", "{}"));
    assert_eq!(drain(&mut answer), expected);
    Ok(())
}

#[test]
fn it_is_bounded() -> Result<(), Refusal> {
    let mut answer = Answer::default();
    for key in 0..MAX_TOOL_CALLS {
        answer.tool(&key.to_string(), "", "t")?;
        answer.end_tool(&key.to_string())?;
    }
    assert!(answer.tool("one more", "", "t").is_err());
    let piece = "x".repeat(MAX_ANSWER_BYTES / 4);
    let mut answer = Answer::default();
    answer.tool("0", "", "t")?;
    answer.text(&piece)?;
    answer.reasoning(&piece)?;
    answer.arguments("0", &piece)?;
    assert!(answer.tool_signature("0", &piece).is_err());
    Ok(())
}

#[test]
fn a_sign_of_life_is_what_the_model_produced() -> Result<(), Refusal> {
    let mut answer = Answer::default();
    answer.text("")?;
    answer.usage(Usage::default());
    assert!(!answer.take_spoke());
    answer.tool("0", "", "")?;
    assert!(answer.take_spoke());
    assert!(!answer.take_spoke());
    Ok(())
}

#[test]
fn raw_usage_is_bounded() {
    assert_eq!(raw_usage(&serde_json::json!({"n": 1})).as_deref(), Some("{\"n\":1}"));
    assert_eq!(raw_usage(&"x".repeat(MAX_RAW_USAGE_BYTES)), None);
}

#[test]
fn what_is_counted_on_the_way_is_told_once_and_at_the_end_with_it() {
    let counted = |input| Usage { input: Some(input), ..Usage::default() };
    let mut answer = Answer::default();
    assert_eq!(answer.take_usage(), None);
    answer.usage(Usage { raw: Some("{}".to_owned()), ..Usage::default() });
    assert_eq!(answer.take_usage(), None, "nothing was counted");
    answer.usage(counted(1));
    answer.usage(counted(2));
    assert_eq!(answer.take_usage(), Some(counted(2)));
    assert_eq!(answer.take_usage(), None);
    answer.usage(counted(3));
    answer.finish(Finish::Stop);
    assert_eq!(answer.take_usage(), None);
    assert_eq!(answer.finished(), Some(Chunk::Finished { finish: Finish::Stop, usage: counted(3) }));
}
