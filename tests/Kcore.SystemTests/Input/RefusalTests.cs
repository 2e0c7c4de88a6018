using Kcore.SystemTests.Lab;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Input;

/// <summary>Behaviours 76–107 as an operator meets them: category, text and exit code; the catalog stays as it was.</summary>
public sealed class RefusalTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    private const string Vxlan = "--type vxlan";

    /// <summary>Behaviour, words of the command (blank-separated, ~ stands for a blank), category, exit code, texts (separated by |).</summary>
    public static TheoryData<int, string, string, int, string> Refusals => new()
    {
        { 76, $"create network ~ {Vxlan} --gateway-ip 10.90.0.1", "InvalidArgument", 2, "name is required" },
        { 77, $"create network bad.name {Vxlan} --gateway-ip 10.90.0.1", "InvalidArgument", 2, "letters, digits" },
        { 78, $"create network default {Vxlan} --gateway-ip 10.90.0.1", "InvalidArgument", 2, "reserved" },
        { 105, $"create network ~default~ {Vxlan} --gateway-ip 10.90.0.1", "InvalidArgument", 2, "reserved" },
        { 79, "delete network default", "InvalidArgument", 2, "default" },
        { 80, $"create network n {Vxlan} --gateway-ip fe80::1", "InvalidArgument", 2, "gateway" },
        { 80, $"create network n {Vxlan} --gateway-ip 10.90.1", "InvalidArgument", 2, "gateway" },
        { 80, $"create network n {Vxlan} --gateway-ip 10.90.0.1 --external-ip 1.2.3.x", "InvalidArgument", 2, "external" },
        { 81, $"create network n {Vxlan} --gateway-ip 10.90.0.1 --internal-netmask 255.0.255.0", "InvalidArgument", 2, "contiguous" },
        { 82, $"create network n {Vxlan} --gateway-ip 10.90.0.1 --internal-netmask 255.255.255.254", "InvalidArgument", 2, "supported" },
        { 82, $"create network n {Vxlan} --gateway-ip 10.90.0.1 --internal-netmask 254.0.0.0", "InvalidArgument", 2, "supported" },
        { 83, $"create network n {Vxlan} --gateway-ip 10.90.0.0", "InvalidArgument", 2, "gateway" },
        { 83, $"create network n {Vxlan} --gateway-ip 10.90.0.255", "InvalidArgument", 2, "gateway" },
        { 84, "create network n --type vlan --gateway-ip 10.90.0.1", "InvalidArgument", 2, "nat|bridge|vxlan" },
        { 85, "create network n --type bridge --gateway-ip 10.90.0.1 --vlan-id 4095", "InvalidArgument", 2, "4094" },
        { 85, "create network n --type bridge --gateway-ip 10.90.0.1 --vlan-id=-1", "InvalidArgument", 2, "4094" },
        { 86, $"create network n {Vxlan} --gateway-ip 10.90.0.1 --vlan-id 5", "InvalidArgument", 2, "vlan" },
        { 41, $"create network n {Vxlan} --gateway-ip 10.90.0.1 --enable-outbound-nat --no-outbound-nat", "InvalidArgument", 2, "outbound-nat" },
        { 92, $"create network n {Vxlan} --gateway-ip 10.90.0.1 --target-node nobody", "NotFound", 3, "nobody" },
        { 96, "delete network unknown-one", "NotFound", 3, "unknown-one" },
        { 97, "attach nic x --network unknown-one", "NotFound", 3, "unknown-one" },
    };

    [SkippableTheory]
    [MemberData(nameof(Refusals))]
    public async Task Wrong_input_is_refused_with_its_category_text_and_exit_code(int behaviour, string words, string category, int exitCode, string texts)
    {
        await ReadyAsync();
        await RefusedAsync($"behaviour {behaviour}", words, category, exitCode, texts);
    }

    [SkippableFact]
    public async Task B089_A_name_whose_network_number_is_taken_is_refused_with_both_names_and_the_number()
    {
        await ReadyAsync();
        Assert.Equal(TestNetwork.VniOf("overlay"), TestNetwork.VniOf("overlay0"));
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "overlay", Three.NextSubnet());
        await RefusedAsync("behaviour 89", $"create network overlay0 {Vxlan} --gateway-ip 10.91.0.1", "AlreadyExists", 4, $"overlay|overlay0|{network.Vni}");
    }

    [SkippableFact]
    public async Task B060_B091_The_same_create_again_is_unchanged_and_another_spec_is_refused()
    {
        await ReadyAsync();
        string subnet = Three.NextSubnet();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "fixed", subnet);
        string digest = await NodeLan.SettledAsync(Lan.Nodes);
        KctlResult again = (await A.KctlAsync("create", "network", "fixed", "--gateway-ip", network.Gateway, "--internal-netmask", "255.255.255.0", "--type", "vxlan")).OrThrow();
        Assert.Contains("unchanged", again.Stdout, StringComparison.Ordinal);
        Assert.Equal(digest, (await A.StatusAsync()).Digest);
        await RefusedAsync("behaviour 91", $"create network fixed {Vxlan} --gateway-ip {subnet}.9", "InvalidArgument", 2, "immutable|gateway");
        await RefusedAsync("A18", $"create network Fixed {Vxlan} --gateway-ip 10.92.0.1", "InvalidArgument", 2, "fixed");
    }

    [SkippableFact]
    public async Task B098_A_bad_hardware_address_or_a_foreign_address_is_refused()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "strict", Three.NextSubnet());
        await RefusedAsync("behaviour 98", "attach nic x --network strict --mac 52:54:00:zz:00:01", "InvalidArgument", 2, "mac");
        await RefusedAsync("address outside", "attach nic x --network strict --ip 192.0.2.7", "InvalidArgument", 2, "192.0.2.7");
        Assert.Empty(await A.NicsAsync("strict"));
    }

    [SkippableFact]
    public async Task B069_With_the_daemon_down_kctl_says_so_and_exits_with_6()
    {
        await ReadyAsync();
        await C.TerminateAsync();
        try
        {
            KctlResult result = await C.KctlAsync("get", "networks");
            Assert.True(result.ExitCode == 6, result.ToString());
            Assert.Contains("kcored", result.Stderr, StringComparison.Ordinal);
            Assert.Contains(C.Socket, result.Stderr, StringComparison.Ordinal);
        }
        finally
        {
            C.Start();
        }
    }

    private async Task RefusedAsync(string which, string words, string category, int exitCode, string texts)
    {
        // What moves by itself meanwhile moves once; a request that changes something would do so again.
        for (bool isSettled = false; ; isSettled = true)
        {
            string digest = isSettled ? await NodeLan.SettledAsync(Lan.Nodes) : (await A.StatusAsync()).Digest;
            KctlResult result = await A.KctlAsync([.. words.Split(' ').Select(w => w.Replace('~', ' '))]);
            Assert.True(result.ExitCode == exitCode, $"{which}: expected exit code {exitCode}; {result}");
            Assert.True(result.Stderr.Contains($"Error: {category}: ", StringComparison.Ordinal), $"{which}: expected \"Error: {category}: …\"; {result}");
            Assert.All(texts.Split('|'), text => Assert.True(
                result.Stderr.Contains(text, StringComparison.OrdinalIgnoreCase), $"{which}: expected the text \"{text}\"; {result}"));
            string after = (await A.StatusAsync()).Digest;
            if (digest == after)
            {
                return;
            }

            Assert.False(isSettled, $"{which}: a refused request changed the catalog digest from {digest} to {after}");
        }
    }
}
