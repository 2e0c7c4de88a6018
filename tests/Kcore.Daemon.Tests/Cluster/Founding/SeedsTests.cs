using FsCheck;
using FsCheck.Fluent;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Tests.Catalog.Validation;

namespace Kcore.Daemon.Tests.Cluster.Founding;

public sealed class SeedsTests
{
    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("  ")]
    public void No_seeds_are_no_seeds(string? text) => Assert.Empty(Seeds.Parse(text, 7946));

    [Fact]
    public void Seeds_are_hosts_with_or_without_a_port() => Assert.Equal<IEnumerable<(string, int)>>(
        [("192.0.2.1", 7946), ("node-b.example", 7999), ("c", 65535)],
        Seeds.Parse(" 192.0.2.1 , node-b.example:7999,c:65535", 7946));

    [Theory]
    [InlineData("a:0")]
    [InlineData("a:65536")]
    [InlineData("a:")]
    [InlineData(":7946")]
    [InlineData("a:b")]
    [InlineData("a:+1")]
    [InlineData("a:1:2")]
    [InlineData("fe80::1")]
    [InlineData("a b")]
    [InlineData("a/b")]
    public void What_is_no_host_and_port_is_refused_with_its_text(string text) =>
        Assert.Contains(text, Assert.Throws<FormatException>(() => Seeds.Parse("ok," + text, 7946)).Message, StringComparison.Ordinal);

    [Fact]
    public void There_is_a_bound_on_their_number_and_length()
    {
        Assert.Equal(64, Seeds.Parse(string.Join(',', Enumerable.Repeat("a", 64)), 1).Length);
        Assert.Throws<FormatException>(() => Seeds.Parse(string.Join(',', Enumerable.Repeat("a", 65)), 1));
        Assert.Throws<FormatException>(() => Seeds.Parse(new string('a', 254), 1));
    }

    [Fact]
    public void Any_text_is_parsed_or_refused() => Prop.ForAll(NetworkRequestTests.Texts(), text =>
    {
        try
        {
            return Seeds.Parse(text, 7946).All(s => s.Port is > 0 and <= 65535 && s.Host.Length > 0);
        }
        catch (FormatException)
        {
            return true;
        }
    }).QuickCheckThrowOnFailure();
}
