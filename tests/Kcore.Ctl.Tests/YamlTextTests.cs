using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Kcore.Ctl.Output;
using YamlDotNet.Serialization;

namespace Kcore.Ctl.Tests;

public sealed class YamlTextTests
{
    [Theory]
    [InlineData("""{"a":1,"b":[{"c":"x","d":[]},{"e":{}}],"f":null,"g":true}""", "a: 1\nb:\n  - c: x\n    d: []\n  - e: {}\nf: null\ng: true\n")]
    [InlineData("""[[1,[2]],"x"]""", "- - 1\n  - - 2\n- x\n")]
    [InlineData("""{"on":"no","v":"1.5","t":"10.0.0.1/24","e":"","q":"a: b #c","m":"52:54:00:00:00:01"}""", "\"on\": \"no\"\nv: \"1.5\"\nt: \"10.0.0.1/24\"\ne: \"\"\nq: \"a: b #c\"\nm: \"52:54:00:00:00:01\"\n")]
    [InlineData("\"\\u001b\\n\\u2028\\\"\\\\\"", "\"\\u001B\\n\\u2028\\\"\\\\\"\n")]
    public void Documents_have_one_exact_form(string json, string yaml)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        Assert.Equal(yaml, YamlText.Of(document.RootElement));
    }

    [Fact]
    public void An_independent_parser_reads_every_string_back()
    {
        IDeserializer reader = new DeserializerBuilder().Build();
        Prop.ForAll(ArbMap.Default.ArbFor<string?>(), text =>
        {
            // JSON carries no lone surrogates, so the expectation is what JSON makes of the string.
            using JsonDocument document = JsonDocument.Parse(JsonSerializer.Serialize(new Dictionary<string, object?> { ["k"] = new[] { text ?? "" } }));
            string expected = document.RootElement.GetProperty("k")[0].GetString()!;
            var read = reader.Deserialize<Dictionary<string, List<string>>>(YamlText.Of(document.RootElement));
            return read["k"][0] == expected;
        }).QuickCheckThrowOnFailure();
    }
}
