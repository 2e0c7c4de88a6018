using System.Net;
using Kcore.Daemon.Catalog.Networks;
using Kcore.Daemon.Dhcp;
using Kcore.Daemon.Dhcp.Supervision;
using Kcore.Daemon.Tests.Dataplane;

namespace Kcore.Daemon.Tests.Dhcp;

public sealed class DnsmasqTextTests
{
    private static readonly DhcpFiles Files = new("/run/kcore/dhcp");
    private static readonly IPAddress Gateway = IPAddress.Parse("10.99.0.1");
    private static readonly DhcpServer Lan = new(
        "lan", "kbr-lan", 12, Gateway, 24, new GuestRange(IPAddress.Parse("10.99.0.100"), IPAddress.Parse("10.99.0.199"), Gateway), 1500,
        [Reserve("web-01", 1, "10.99.0.100"), Reserve("db", 2, "10.99.0.101")]);

    [Fact]
    public void The_configuration_is_exactly_this_034_035_038() => Assert.Equal(
        """
        # Network 'lan' of Kcore, on kbr-lan (index 12). Written by kcored.
        port=0
        interface=kbr-lan
        except-interface=lo
        bind-dynamic
        no-hosts
        no-ping
        dhcp-authoritative
        dhcp-range=10.99.0.100,10.99.0.199,255.255.255.0,12h
        dhcp-option=option:router,10.99.0.1
        dhcp-option=option:dns-server,1.1.1.1,8.8.8.8
        dhcp-option=option:mtu,1500
        dhcp-hostsfile=/run/kcore/dhcp/lan.hosts
        dhcp-leasefile=/run/kcore/dhcp/lan.leases
        pid-file=
        log-facility=/run/kcore/dhcp/lan.log
        quiet-dhcp

        """,
        DnsmasqText.Configuration(Lan, Files, null));

    [Fact]
    public void Every_NIC_is_a_line_with_MAC_address_and_name_036() => Assert.Equal(
        "52:54:00:00:00:01,10.99.0.100,web-01\n52:54:00:00:00:02,10.99.0.101,db\n",
        DnsmasqText.Hosts(Lan));

    [Theory]
    [InlineData("12h")]
    [InlineData("100")]
    [InlineData("ignore")]
    [InlineData("INFINITE")]
    [InlineData("-a")]
    [InlineData("_a")]
    public void A_name_dnsmasq_would_take_for_something_else_is_left_out(string name) =>
        Assert.Equal("52:54:00:00:00:01,10.99.0.100\n", DnsmasqText.Hosts(Lan with { Reservations = [Reserve(name, 1, "10.99.0.100")] }));

    [Fact]
    public void Another_bridge_of_the_same_name_makes_another_configuration() => Assert.NotEqual(
        DnsmasqText.Version(DnsmasqText.Configuration(Lan, Files, null)),
        DnsmasqText.Version(DnsmasqText.Configuration(Lan with { BridgeIndex = 13 }, Files, null)));

    [Fact]
    public void A_lease_that_keeps_a_reserved_address_from_its_owner_is_stale()
    {
        string[] leases =
        [
            "1764000000 52:54:00:00:00:01 10.99.0.100 web-01 01:52:54:00:00:00:01",
            "1764000000 52:54:00:00:00:99 10.99.0.101 old *",
            "1764000000 52:54:00:00:00:98 10.99.0.150 * *",
            "duid 00:01",
            "nonsense",
        ];

        Assert.Equal([leases[1]], DnsmasqText.StaleLeases(leases, Lan));
    }

    [Fact]
    public void A_unit_is_named_after_the_network_and_comes_back_when_it_ends_070()
    {
        string[] arguments = UnitSupervisor.StartArguments("lan", "/run/kcore/dhcp/lan.0.conf");

        Assert.Equal("kcore-dhcp-lan.service", UnitSupervisor.UnitOf("lan"));
        Assert.Contains("--unit=kcore-dhcp-lan.service", arguments);
        Assert.Contains("--property=Restart=always", arguments);
        Assert.Equal(["--keep-in-foreground", "--conf-file=/run/kcore/dhcp/lan.0.conf"], arguments[^2..]);
    }

    private static Reservation Reserve(string name, int host, string address) => new($"a{host}", name, Intents.Mac(host), IPAddress.Parse(address));
}
