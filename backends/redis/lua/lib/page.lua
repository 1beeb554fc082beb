-- The scripts that read by index change nothing, so that a replica can run
-- them. `wanted_gen` is the generation, or '' for the present one. They answer
-- {'page', version, generation, where to go on or false, ..}.
include 'lib/layout'
if wanted_gen ~= '' then generation(wanted_gen) end
local back = order_of ~= ''
local out = {'page', str(ver), gen, false}
