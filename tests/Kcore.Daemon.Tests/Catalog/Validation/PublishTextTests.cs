using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Validation;

namespace Kcore.Daemon.Tests.Catalog.Validation;

public sealed class PublishTextTests
{
    [Fact]
    public void Rules_are_read_and_put_into_one_order()
    {
        PortRules rules = PublishText.Parse(["53:dns:5353/UDP", " 8080:web-01:80 ", "443:web-01:443/tcp"], [22], []);

        Assert.Equal("22:(the only NIC):22/tcp 443:web-01:443/tcp 8080:web-01:80/tcp 53:dns:5353/udp", rules.Text);
        Assert.Equal(22, Assert.Single(rules.Allowed(TransportProtocol.Tcp)));
        Assert.Equal(rules, PublishText.Parse(["443:web-01:443", "8080:web-01:80", "53:dns:5353/udp"], [22], default));
    }

    [Theory]
    [InlineData("0:a:1", "65535")]
    [InlineData("65536:a:1", "65535")]
    [InlineData("1:a:65536", "65535")]
    [InlineData("x:a:1", "65535")]
    [InlineData("+1:a:1", "65535")]
    [InlineData("1:a:1/sctp", "tcp or udp")]
    [InlineData("1:a:1/tcp/udp", "tcp or udp")]
    [InlineData("1:a", "PORT:NIC:PORT")]
    [InlineData("", "PORT:NIC:PORT")]
    [InlineData("1:a b:1", "letters, digits")]
    [InlineData("1::1", "name is required")]
    public void Behaviour_103_a_rule_that_is_none_is_refused(string rule, string text) => Refused(ErrorCode.InvalidArgument, text, [rule], []);

    [Fact]
    public void Behaviour_47_one_port_given_twice_exists_already() => Refused(ErrorCode.AlreadyExists, "8080/tcp", ["8080:a:1", "8080:b:2"], []);

    [Fact]
    public void Behaviour_103_an_allowed_port_outside_the_range_is_refused() => Refused(ErrorCode.InvalidArgument, "allowedTcpPorts", [], [70000]);

    [Fact]
    public void There_is_a_most() => Refused(ErrorCode.InvalidArgument, "at most 48", [.. Enumerable.Range(1, 49).Select(i => $"{i}:a:1")], []);

    private static void Refused(ErrorCode code, string text, string[] publish, int[] allowed)
    {
        Problem problem = Assert.Throws<RefusedException>(() => PublishText.Parse([.. publish], [.. allowed], [])).Problem;
        Assert.Equal(code, problem.Code);
        Assert.Contains(text, problem.Message + string.Join(' ', problem.Details), StringComparison.Ordinal);
    }
}
