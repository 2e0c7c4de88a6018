using System.Collections.Immutable;
using System.Net;
using FsCheck;
using FsCheck.Fluent;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Validation;

namespace Kcore.Daemon.Tests.Catalog.Validation;

public sealed class ExcludeTextTests
{
    private static readonly CreateNetworkRequest Good = new() { Name = "prod", Type = "vxlan", GatewayIp = "10.88.0.1", InternalNetmask = "255.255.0.0" };

    [Theory]
    [InlineData("10.88.0.9", "10.88.0.9")]
    [InlineData(" 10.88.0.9 - 10.88.0.9 ", "10.88.0.9")]
    [InlineData("10.88.0.10-10.88.1.2", "10.88.0.10-10.88.1.2")]
    [InlineData("10.88.0.0-10.88.0.1", "10.88.0.0-10.88.0.1")]
    public void One_address_or_two_with_a_dash(string text, string read) => Assert.Equal(read, Spec(text).Excluded.Text);

    [Fact]
    public void What_overlaps_or_touches_is_one_range_in_whatever_order_it_was_typed()
    {
        NetworkSpec spec = Spec("10.88.0.30-10.88.0.40", "10.88.0.20", "10.88.0.41-10.88.0.41", "10.88.0.35-10.88.0.36", "10.88.0.22");

        Assert.Equal("10.88.0.20 10.88.0.22 10.88.0.30-10.88.0.41", spec.Excluded.Text);
        Assert.Equal(14, spec.Excluded.Count);
        Assert.Equal(Spec("10.88.0.22", "10.88.0.20", "10.88.0.30-10.88.0.41"), spec);
    }

    [Theory]
    [InlineData("", "two with '-'")]
    [InlineData("10.88.0.9-", "two with '-'")]
    [InlineData("-10.88.0.9", "two with '-'")]
    [InlineData("10.88.0.9-20", "two with '-'")]
    [InlineData("10.88.0.9-10.88.0.10-10.88.0.11", "two with '-'")]
    [InlineData("10.88.0.9/30", "two with '-'")]
    [InlineData("::1", "two with '-'")]
    [InlineData("10.89.0.1", "not inside the subnet 10.88.0.0/16")]
    [InlineData("10.88.255.255-10.89.0.1", "not inside the subnet 10.88.0.0/16")]
    [InlineData("10.88.0.9-10.88.0.8", "ends before it begins")]
    [InlineData("10.88.1.0-10.88.17.0", "at most 4096 addresses")]
    public void Anything_else_is_refused_and_names_the_field(string text, string why) => Refused(Good with { Exclude = [text] }, why);

    [Fact]
    public void Four_thousand_and_ninety_six_addresses_are_let_through() => Assert.Equal(4096, Spec("10.88.1.0-10.88.16.255").Excluded.Count);

    [Fact]
    public void So_many_ranges_are_let_through_and_one_more_is_refused()
    {
        string[] apart = [.. Enumerable.Range(0, AddressRanges.MaxRanges).Select(i => $"10.88.{i}.9")];

        Assert.Equal(AddressRanges.MaxRanges, Spec(apart).Excluded.Ranges.Length);
        Refused(Good with { Exclude = [.. apart, "10.88.200.9"] }, "at most 128 separate ranges");
    }

    [Theory]
    [InlineData("10.88.0.1", "10.88.0.2", true)]
    [InlineData("10.88.0.2", "10.88.0.0-10.88.0.1", true)]
    [InlineData("10.88.0.1", "10.88.0.3", false)]
    public void A_network_without_an_address_to_give_is_refused(string gateway, string exclude, bool refused)
    {
        CreateNetworkRequest request = Good with { GatewayIp = gateway, InternalNetmask = "255.255.255.252", Exclude = [exclude] };

        if (refused)
        {
            Refused(request, "leaves no address");
        }
        else
        {
            Assert.Equal(exclude, NetworkRequest.Check(request).Spec.Excluded.Text);
        }
    }

    [Theory]
    [InlineData("nat")]
    [InlineData("bridge")]
    public void Only_an_overlay_excludes(string type) => Refused(Good with { Type = type, Exclude = ["10.88.0.9"] }, "only a vxlan network takes exclude");

    [Fact]
    public void Behaviour_91_exclusions_cannot_be_changed() => Assert.Equal<IEnumerable<string>>(
        ["exclude: 10.88.0.9 -> 10.88.0.9-10.88.0.10"],
        Spec("10.88.0.9-10.88.0.10").DifferencesFrom(Spec("10.88.0.9")));

    [Fact]
    public void Whatever_is_typed_is_read_or_refused_and_what_was_read_is_inside_the_subnet() =>
        Prop.ForAll(NetworkRequestTests.Texts(), text =>
        {
            try
            {
                NetworkSpec spec = Spec(text);
                Assert.True(spec.Excluded.IsWithinBounds);
                Assert.All(spec.Excluded.Addresses(), a => Assert.True(spec.Subnet.Contains(a)));
            }
            catch (RefusedException e)
            {
                Assert.Equal(ErrorCode.InvalidArgument, e.Problem.Code);
                Assert.Contains("exclude", e.Problem.Message, StringComparison.Ordinal);
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Ranges_hold_the_addresses_that_were_put_in_and_no_others() =>
        Prop.ForAll(
            Gen.ArrayOf(from first in Gen.Choose(0, 60) from length in Gen.Choose(0, 9) select new AddressRange((uint)first, (uint)(first + length))).ToArbitrary(),
            ranges =>
            {
                var joined = AddressRanges.Of(ranges);
                long[] expected = [.. ranges.SelectMany(r => Enumerable.Range((int)r.First, (int)r.Count)).Distinct().Order().Select(n => (long)n)];
                Assert.Equal(expected, joined.Addresses().Select(a => (long)AddressRange.ToNumber(a)));
                Assert.Equal(expected.Length, joined.Count);
                Assert.All(joined.Ranges.Zip(joined.Ranges.Skip(1)), pair => Assert.True(pair.First.Last + 1 < pair.Second.First));
            }).QuickCheckThrowOnFailure();

    [Fact]
    public void The_last_address_of_all_is_a_range_like_others() => Assert.Equal(
        [IPAddress.Parse("255.255.255.254"), IPAddress.Broadcast],
        AddressRanges.Of([new AddressRange(uint.MaxValue, uint.MaxValue), new AddressRange(uint.MaxValue - 1, uint.MaxValue)]).Addresses());

    private static NetworkSpec Spec(params string[] exclude) => NetworkRequest.Check(Good with { Exclude = ImmutableArray.Create(exclude) }).Spec;

    private static void Refused(CreateNetworkRequest request, string text)
    {
        Problem problem = Assert.Throws<RefusedException>(() => NetworkRequest.Check(request)).Problem;
        Assert.Equal(ErrorCode.InvalidArgument, problem.Code);
        Assert.Contains("exclude", problem.Message, StringComparison.Ordinal);
        Assert.Contains(text, problem.Message, StringComparison.Ordinal);
    }
}
