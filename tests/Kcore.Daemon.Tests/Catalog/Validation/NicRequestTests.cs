using FsCheck;
using FsCheck.Fluent;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Catalog.Validation;

namespace Kcore.Daemon.Tests.Catalog.Validation;

public sealed class NicRequestTests
{
    private static readonly AttachNicRequest Good = new() { Name = "web-01", Network = "prod" };

    [Fact]
    public void Without_a_namespace_the_NIC_is_a_TAP()
    {
        NicRequest nic = NicRequest.Check(Good);

        Assert.Null(nic.Netns);
        Assert.Null(nic.Ifname);
        Assert.Null(nic.Address);
        Assert.Null(nic.Mac);
    }

    [Theory]
    [InlineData("web", "/run/netns/web")]
    [InlineData(" web ", "/run/netns/web")]
    [InlineData("1234", "/proc/1234/ns/net")]
    [InlineData("/var/run/docker/netns/x", "/var/run/docker/netns/x")]
    public void A_namespace_is_given_by_name_process_or_path(string text, string path)
    {
        NicRequest nic = NicRequest.Check(Good with { Netns = text });

        Assert.Equal(path, nic.Netns);
        Assert.Equal("eth0", nic.Ifname);
    }

    [Theory]
    [InlineData("..")]
    [InlineData(".")]
    [InlineData("a/../../etc")]
    [InlineData("a\u0001b")]
    public void A_namespace_name_does_not_lead_elsewhere(string text) => Refused(Good with { Netns = text }, "netns");

    [Fact]
    public void A_namespace_path_that_no_fact_could_carry_is_refused() => Refused(Good with { Netns = "/" + new string('€', 200) }, "netns");

    [Fact]
    public void An_interface_name_needs_a_namespace() => Refused(Good with { Ifname = "eth1" }, "--netns");

    [Theory]
    [InlineData("a@b")]
    [InlineData("a\"b")]
    [InlineData("all")]
    [InlineData("default")]
    [InlineData("a/b")]
    [InlineData("sixteen-letters-")]
    public void An_interface_name_the_data_plane_would_refuse_is_refused_at_once(string name) =>
        Refused(Good with { Netns = "web", Ifname = name }, "ifname");

    [Theory]
    [InlineData("010.88.0.5")]
    [InlineData("10.88.5")]
    [InlineData("0x0a.0.0.1")]
    [InlineData("fe80::1")]
    public void Behaviour_80_a_wanted_address_is_four_plain_numbers(string text) => Refused(Good with { Ip = text }, "ip");

    [Theory]
    [InlineData("52:54:00:12:34:5")]
    [InlineData("52:54:00:12:34")]
    [InlineData("52-54-00-12-34-56")]
    [InlineData("01:00:5e:00:00:01")]
    [InlineData("ff:ff:ff:ff:ff:ff")]
    [InlineData("00:00:00:00:00:00")]
    [InlineData("52:54:00:12:34:zz")]
    [InlineData("52:54:00:12:34:56:78")]
    public void Behaviour_98_a_MAC_no_NIC_can_have_is_refused(string text) => Refused(Good with { Mac = text }, "mac");

    [Fact]
    public void Behaviour_6_a_given_MAC_wins_in_whatever_case_it_is_written() =>
        Assert.Equal("52:54:00:ab:cd:ef", DerivedNames.MacText(NicRequest.Check(Good with { Mac = "52:54:00:AB:cd:EF" }).Mac!));

    [Fact]
    public void Behaviour_106_no_bytes_crash_the_validator_and_what_it_lets_through_can_be_told_to_others() =>
        Prop.ForAll(NetworkRequestTests.Texts(), NetworkRequestTests.Texts(), (first, second) =>
        {
            foreach (string text in new[] { first, second })
            {
                IsChecked(Good with { Name = text });
                IsChecked(Good with { Network = text });
                IsChecked(Good with { Netns = text });
                IsChecked(Good with { Netns = "/" + text + text });
                IsChecked(Good with { Netns = "web", Ifname = text });
                IsChecked(Good with { Ip = text });
                IsChecked(Good with { Mac = text });
            }
        }).QuickCheckThrowOnFailure();

    private static void IsChecked(AttachNicRequest request)
    {
        try
        {
            NicRequest nic = NicRequest.Check(request);
            var fact = new NicFact(
                1, 2, nic.Name, nic.Mac ?? DerivedNames.Mac(nic.Name), nic.Address, 0, DerivedNames.Tap(nic.Name), nic.Netns, nic.Ifname, ObjectState.Pending, null);
            Assert.True(FactCodec.TryDecode(Said.Nic(Said.A, fact), out NicFact? read));
            Assert.Equal(fact, read);
        }
        catch (RefusedException e)
        {
            Assert.Equal(ErrorCode.InvalidArgument, e.Problem.Code);
            Assert.NotEmpty(e.Problem.Message);
        }
    }

    private static void Refused(AttachNicRequest request, string text)
    {
        Problem problem = Assert.Throws<RefusedException>(() => NicRequest.Check(request)).Problem;
        Assert.Equal(ErrorCode.InvalidArgument, problem.Code);
        Assert.Contains(text, problem.Message, StringComparison.Ordinal);
    }
}
